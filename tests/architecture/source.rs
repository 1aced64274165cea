//! Just enough reading of Rust to see which paths a file names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::Path;

/// One file, as names and signs without comments and literals.
pub(crate) struct Source {
    /// From the root of the repository, with `/`.
    pub(crate) path: String,
    pub(crate) lines: usize,
    tokens: Vec<Token>,
}

#[derive(Clone)]
struct Token {
    line: usize,
    /// A name or number, `::`, or one sign.
    text: String,
}

/// All `.rs` files below `folders` of `root`, sorted.
pub(crate) fn under(root: &Path, folders: &[&str]) -> Vec<Source> {
    let mut waiting: Vec<_> = folders.iter().map(|folder| root.join(folder)).collect();
    let mut found = Vec::new();
    while let Some(place) = waiting.pop() {
        if place.is_dir() {
            waiting.extend(fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().path()));
        } else if place.extension().is_some_and(|end| end == "rs") {
            let parts = place.strip_prefix(root).unwrap().iter().map(|part| part.to_str().unwrap());
            let path = parts.collect::<Vec<_>>().join("/");
            found.push(Source::parse(path, &fs::read_to_string(&place).unwrap()));
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Which room each name comes from that `src/lib.rs` re-exports.
pub(crate) fn exports(sources: &[Source]) -> BTreeMap<String, String> {
    let mut homes = BTreeMap::new();
    for lib in sources.iter().filter(|file| file.path == "src/lib.rs") {
        for (n, pair) in lib.tokens.windows(2).enumerate() {
            if pair[0].text == "pub" && pair[1].text == "use" {
                let mut paths = Vec::new();
                tree(&lib.tokens, n + 2, &[], &mut paths);
                for Named { path, name } in paths.into_iter().filter(|named| named.path.len() > 1) {
                    homes.insert(name, path[0].clone());
                }
            }
        }
    }
    homes
}

impl Source {
    pub(crate) fn parse(path: String, text: &str) -> Self {
        Self { path, lines: text.lines().count(), tokens: tokens(text) }
    }

    /// The room of the library that the file belongs to; none for its front page and the faces,
    /// which may use everything, and for tests.
    pub(crate) fn room(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?.strip_suffix(".rs")?;
        let mut parts = inside.split('/');
        let room = parts.next()?;
        let apart = room == "lib" || parts.any(|part| part == "tests");
        (!apart).then_some(room)
    }

    /// The path of the module in its crate; empty for the root.
    pub(crate) fn module(&self) -> Vec<String> {
        let (_, inside) = self.path.rsplit_once("src/").unwrap_or(("", &self.path));
        let parts = inside.trim_end_matches(".rs").split('/').map(ToString::to_string);
        let mut parts: Vec<_> = parts.collect();
        if ["mod", "lib"].contains(&parts[parts.len() - 1].as_str()) {
            parts.pop();
        }
        parts
    }

    /// Every name with its line.
    pub(crate) fn names(&self) -> impl Iterator<Item = (usize, &str)> {
        self.tokens.iter().map(|token| (token.line, token.text.as_str()))
    }

    /// Every path that starts at the root of the crate, without `crate`, with its line; test
    /// modules left out.
    pub(crate) fn imports(&self) -> Vec<(usize, Vec<String>)> {
        let tokens = without_tests(&self.tokens);
        let module = self.module();
        let mut imports = Vec::new();
        let mut n = 0;
        while n < tokens.len() {
            let start = n;
            n += 1;
            let follows = start > 0 && tokens[start - 1].text == "::";
            // `pub(in crate::room)` says who may look, and uses nothing.
            let allows =
                start > 2 && tokens[start - 1].text == "in" && tokens[start - 3].text == "pub";
            if follows || allows {
                continue;
            }
            let Some((prefix, rest)) = beginning(&tokens, start, &module) else { continue };
            let mut paths = Vec::new();
            n = tree(&tokens, rest, &prefix, &mut paths).max(n);
            let line = tokens[start].line;
            let paths = paths.into_iter().map(|named| named.path).filter(|path| !path.is_empty());
            imports.extend(paths.map(|path| (line, path)));
        }
        imports
    }

    /// The modules that the file declares, those of tests left out.
    pub(crate) fn children(&self) -> BTreeSet<String> {
        let tokens = without_tests(&self.tokens);
        let declared = tokens.windows(3).filter(|three| {
            three[0].text == "mod" && is_name(&three[1].text) && three[2].text == ";"
        });
        declared.map(|three| three[1].text.clone()).collect()
    }

    /// Names that the file takes from elsewhere, and the paths from the root for which they stand.
    pub(crate) fn taken(&self) -> BTreeMap<String, Vec<String>> {
        let uses = self.statements().into_iter().flat_map(|statement| statement.names);
        uses.map(|named| (named.name, named.path)).collect()
    }

    /// Paths from the root into modules that the file declares and needs itself: to pass a name
    /// of theirs on is no need.
    pub(crate) fn uses_of_children(&self) -> Vec<Vec<String>> {
        let (tokens, children) = (without_tests(&self.tokens), self.children());
        let statements = self.statements();
        let inside = |n: usize| statements.iter().any(|statement| statement.tokens.contains(&n));
        let mut used = Vec::new();
        for (n, token) in tokens.iter().enumerate().filter(|(n, _)| !inside(*n)) {
            let first = n == 0
                || text(&tokens, n - 1) != "::"
                || text(&tokens, n.saturating_sub(2)) == "self";
            if first && children.contains(&token.text) && text(&tokens, n + 1) == "::" {
                used.push([self.module(), vec![token.text.clone()]].concat());
            }
        }
        for statement in &statements {
            let own = |named: &&Named| {
                let below = named.path.strip_prefix(self.module().as_slice());
                below.and_then(<[String]>::first).is_some_and(|child| children.contains(child))
            };
            let named_again = |named: &&Named| {
                tokens.iter().enumerate().any(|(n, token)| {
                    token.text == named.name
                        && !inside(n)
                        && text(&tokens, n.wrapping_sub(1)) != "::"
                })
            };
            let names = statement.names.iter().filter(own);
            let needed = names.filter(|named| !statement.passed_on || named_again(named));
            used.extend(needed.map(|named| named.path.clone()));
        }
        used
    }

    /// All `use` statements outside tests.
    fn statements(&self) -> Vec<Statement> {
        let tokens = without_tests(&self.tokens);
        let (module, children) = (self.module(), self.children());
        let mut found = Vec::new();
        let starts = tokens.iter().enumerate().filter(|(_, token)| token.text == "use");
        for (n, _) in starts {
            let mut names = Vec::new();
            let from = if text(&tokens, n + 1) == "self" { n + 3 } else { n + 1 };
            let (prefix, rest) = match beginning(&tokens, from, &module) {
                Some(beginning) => beginning,
                None if children.contains(text(&tokens, from)) => (module.clone(), from),
                // Another crate.
                None => continue,
            };
            let end = tree(&tokens, rest, &prefix, &mut names);
            let passed_on = n > 0 && ["pub", ")"].contains(&text(&tokens, n - 1));
            found.push(Statement { tokens: n..end, names, passed_on });
        }
        found
    }
}

/// A `use` of something in this crate.
struct Statement {
    tokens: Range<usize>,
    names: Vec<Named>,
    /// Whether others may use the names, too.
    passed_on: bool,
}

/// A path that a file names, and the name under which it is known there.
#[derive(Clone)]
struct Named {
    path: Vec<String>,
    name: String,
}

/// Where a path begins that starts with `crate` or `super` at token `start` of `module`, and the
/// token after that.
fn beginning(tokens: &[Token], start: usize, module: &[String]) -> Option<(Vec<String>, usize)> {
    if tokens[start].text == "crate" && text(tokens, start + 1) == "::" {
        return Some((Vec::new(), start + 2));
    }
    let mut up = 0;
    while text(tokens, start + 2 * up) == "super" && text(tokens, start + 2 * up + 1) == "::" {
        up += 1;
    }
    let kept = module.len().saturating_sub(up);
    (up > 0).then(|| (module[..kept].to_vec(), start + 2 * up))
}

fn text(tokens: &[Token], n: usize) -> &str {
    tokens.get(n).map_or("", |token| token.text.as_str())
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Reads `a::{b, c::d as e}` from token `n` on into `a::b` and `a::c::d`; says where it ends.
fn tree(tokens: &[Token], mut n: usize, prefix: &[String], out: &mut Vec<Named>) -> usize {
    let mut path = prefix.to_vec();
    loop {
        match text(tokens, n) {
            "{" => {
                n += 1;
                while !["}", ""].contains(&text(tokens, n)) {
                    n = tree(tokens, n, &path, out).max(n + 1);
                    while ![",", "}", ""].contains(&text(tokens, n)) {
                        n += 1;
                    }
                    if text(tokens, n) == "," {
                        n += 1;
                    }
                }
                return n + 1;
            }
            name if is_name(name) => {
                if name != "self" {
                    path.push(name.to_string());
                }
                n += 1;
                if text(tokens, n) == "::" {
                    n += 1;
                } else {
                    let last = path.last().cloned().unwrap_or_default();
                    let renamed = text(tokens, n) == "as";
                    let name = if renamed { text(tokens, n + 1).to_string() } else { last };
                    out.push(Named { path, name });
                    return n + if renamed { 2 } else { 0 };
                }
            }
            _ => {
                // `*`, or the `<` of type arguments.
                out.push(Named { path, name: String::new() });
                return n;
            }
        }
    }
}

/// The tokens without items that exist in tests alone.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut n = 0;
    while n < tokens.len() {
        let attribute = ["#", "[", "cfg", "("].iter().enumerate();
        let starts = attribute.clone().all(|(k, sign)| text(tokens, n + k) == *sign);
        let end = if starts { closing(tokens, n + 1) } else { n };
        let inside = &tokens[n..end.min(tokens.len())];
        let has = |name: &str| inside.iter().any(|token| token.text == name);
        if !starts || !has("test") || has("any") || has("not") {
            kept.push(tokens[n].clone());
            n += 1;
            continue;
        }
        n = end + 1;
        while text(tokens, n) == "#" {
            n = closing(tokens, n + 1) + 1;
        }
        while !["{", ";", ""].contains(&text(tokens, n)) {
            n += 1;
        }
        n = if text(tokens, n) == "{" { closing(tokens, n) + 1 } else { n + 1 };
    }
    kept
}

/// Where the bracket that opens at `n` closes.
fn closing(tokens: &[Token], n: usize) -> usize {
    let mut depth = 0_usize;
    for (k, token) in tokens.iter().enumerate().skip(n) {
        match token.text.as_str() {
            "{" | "[" | "(" => depth += 1,
            "}" | "]" | ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return k;
        }
    }
    tokens.len()
}

fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let at = |n: usize| chars.get(n).copied().unwrap_or('\0');
    let mut out: Vec<Token> = Vec::new();
    let (mut n, mut line) = (0, 1);
    while n < chars.len() {
        let start = n;
        match at(n) {
            '/' if at(n + 1) == '/' => {
                while n < chars.len() && at(n) != '\n' {
                    n += 1;
                }
            }
            '/' if at(n + 1) == '*' => {
                let mut depth = 0;
                loop {
                    match (at(n), at(n + 1)) {
                        ('/', '*') => (depth, n) = (depth + 1, n + 2),
                        ('*', '/') => (depth, n) = (depth - 1, n + 2),
                        _ => n += 1,
                    }
                    if depth == 0 || n >= chars.len() {
                        break;
                    }
                }
            }
            '"' => n = end_of_string(&chars, n),
            // A character has a closing quote soon after; a lifetime has not.
            '\'' if at(n + 1) == '\\' => {
                n += 3;
                while n < chars.len() && at(n) != '\'' {
                    n += 1;
                }
                n += 1;
            }
            '\'' if at(n + 2) == '\'' => n += 3,
            c if c.is_alphanumeric() || c == '_' => {
                while at(n).is_alphanumeric() || at(n) == '_' {
                    n += 1;
                }
                let name: String = chars[start..n].iter().collect();
                let hashes = chars[n..].iter().take_while(|c| **c == '#').count();
                let raw = ["r", "br", "cr"].contains(&name.as_str());
                if raw && at(n + hashes) == '"' {
                    let end: Vec<char> = format!("\"{}", "#".repeat(hashes)).chars().collect();
                    n += hashes + 1;
                    while n < chars.len() && !chars[n..].starts_with(&end) {
                        n += 1;
                    }
                    n += end.len();
                } else {
                    out.push(Token { line, text: name });
                }
            }
            ':' if at(n + 1) == ':' => {
                out.push(Token { line, text: "::".into() });
                n += 2;
            }
            c => {
                if !c.is_whitespace() {
                    out.push(Token { line, text: c.into() });
                }
                n += 1;
            }
        }
        line += chars[start..n.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    out
}

fn end_of_string(chars: &[char], start: usize) -> usize {
    let mut n = start + 1;
    while n < chars.len() && chars[n] != '"' {
        n += if chars[n] == '\\' { 2 } else { 1 };
    }
    n + 1
}
