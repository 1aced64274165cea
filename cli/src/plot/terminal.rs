//! A chart as text: lines of Braille patterns, each of which has two by four dots.

use super::axis::Axis;
use super::chart::{Chart, Line, Style};
use std::fmt::Write;

/// Rows of a panel, alone and with others above or below it.
const ROWS: usize = 14;
const FEW_ROWS: usize = 6;

/// The text of a chart, `columns` characters wide: a panel for each line, with the axes in common.
pub(super) fn text(chart: &Chart, columns: usize) -> String {
    let (x, y) = chart.axes();
    let rows = if chart.lines.len() > 1 { FEW_ROWS } else { ROWS };
    let marks = y.marks(rows / 2);
    let labels: Vec<String> = marks.iter().map(|m| y.text(*m, rows / 2)).collect();
    let beside = labels.iter().map(|l| l.chars().count()).max().unwrap_or(0);
    let wide = columns.saturating_sub(beside + 2).max(10);
    let mut out = format!("{}\n", chart.title);
    let empty = [Line { name: String::new(), style: Style::Line, parts: Vec::new() }];
    let lines = if chart.lines.is_empty() { &empty[..] } else { &chart.lines };
    for line in lines {
        let mut canvas = Canvas::new(wide, rows);
        line.parts.iter().for_each(|part| canvas.add(part, line.style, (&x, &y)));
        let name = if lines.len() > 1 { &*line.name } else { &*chart.y_label };
        let _ = writeln!(out, "{:beside$} {name}", "");
        for row in 0..rows {
            let found = marks.iter().position(|m| row_of(&y, *m, rows) == row);
            let label = found.and_then(|i| labels.get(i)).map_or("", |l| l);
            let edge = if found.is_some() { '┤' } else { '│' };
            let _ = writeln!(out, "{label:>beside$}{edge}{}", canvas.row(row).trim_end());
        }
    }
    below(&mut out, chart, &x, beside, wide);
    out
}

/// The row in which a mark of the axis beside lies.
fn row_of(y: &Axis, mark: f64, rows: usize) -> usize {
    place(1.0 - y.part(mark), 4 * rows) / 4
}

/// Which of `count` dots lies at this part of an axis.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "kept between 0 and a few hundred"
)]
fn place(part: f64, count: usize) -> usize {
    let last = count.saturating_sub(1) as f64;
    (part * last).round().clamp(0.0, last) as usize
}

/// The axis below, its marks, and what it stands for.
fn below(out: &mut String, chart: &Chart, x: &Axis, beside: usize, wide: usize) {
    let most = (wide / 10).clamp(3, 8);
    let mut edge: Vec<char> = vec!['─'; wide];
    let mut labels = String::new();
    for mark in x.marks(most) {
        let at = place(x.part(mark), 2 * wide) / 2;
        let text = x.text(mark, most);
        let long = text.chars().count();
        let from = at.saturating_sub(long / 2).min(wide.saturating_sub(long));
        let used = labels.chars().count();
        // A label that would touch the one before it is left out.
        if used > 0 && from <= used {
            continue;
        }
        if let Some(edge) = edge.get_mut(at) {
            *edge = '┬';
        }
        labels.extend(std::iter::repeat_n(' ', from - used));
        labels.push_str(&text);
    }
    let edge: String = edge.into_iter().collect();
    let _ = writeln!(out, "{:beside$}└{edge}", "");
    let _ = writeln!(out, "{:beside$} {labels}", "");
    let middle = wide.saturating_sub(chart.x_label.chars().count()) / 2;
    let _ = writeln!(out, "{:beside$} {:middle$}{}", "", "", chart.x_label);
}

/// Dots, two by four in each character.
struct Canvas {
    wide: usize,
    high: usize,
    /// The bits of each character, row by row.
    cells: Vec<u8>,
}

impl Canvas {
    fn new(columns: usize, rows: usize) -> Self {
        Self { wide: 2 * columns, high: 4 * rows, cells: vec![0; columns * rows] }
    }

    fn dot(&mut self, across: usize, down: usize) {
        let bit = match (across % 2, down % 4) {
            (0, 3) => 0x40,
            (0, row) => 1 << row,
            (_, 3) => 0x80,
            (_, row) => 8 << row,
        };
        if across < self.wide
            && let Some(cell) = self.cells.get_mut(down / 4 * (self.wide / 2) + across / 2)
        {
            *cell |= bit;
        }
    }

    fn add(&mut self, points: &[(f64, f64)], style: Style, (x, y): (&Axis, &Axis)) {
        let (wide, high) = (self.wide, self.high);
        let at = |(a, b): (f64, f64)| (place(x.part(a), wide), place(1.0 - y.part(b), high));
        match style {
            Style::Points => points.iter().for_each(|p| {
                let (across, down) = at(*p);
                self.dot(across, down);
            }),
            Style::Line => {
                let mut before = None;
                for point in points {
                    let to = at(*point);
                    self.line(before.unwrap_or(to), to);
                    before = Some(to);
                }
            }
            Style::Bars => {
                for [from, to] in points.as_chunks::<2>().0 {
                    let ((left, top), (right, _)) = (at(*from), at(*to));
                    if from.1 > 0.0 {
                        for across in left..right.max(left + 1) {
                            (top..high).for_each(|down| self.dot(across, down));
                        }
                    }
                }
            }
        }
    }

    /// The dots from one to the other, both with them.
    fn line(&mut self, from: (usize, usize), to: (usize, usize)) {
        let steps = from.0.abs_diff(to.0).max(from.1.abs_diff(to.1)).max(1);
        let between = |a: usize, b: usize, n: usize| (a * (steps - n) + b * n + steps / 2) / steps;
        for n in 0..=steps {
            self.dot(between(from.0, to.0, n), between(from.1, to.1, n));
        }
    }

    fn row(&self, row: usize) -> String {
        let columns = self.wide / 2;
        let cells = self.cells.get(row * columns..(row + 1) * columns).unwrap_or_default();
        let pattern = |bits: &u8| match bits {
            0 => ' ',
            bits => char::from_u32(0x2800 + u32::from(*bits)).unwrap_or(' '),
        };
        cells.iter().map(pattern).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(lines: Vec<Line>) -> Chart {
        Chart {
            title: "T".into(),
            x_label: "time (ps)".into(),
            y_label: "RMSD (nm)".into(),
            invert_y: false,
            log_x: false,
            lines,
        }
    }

    fn line(parts: Vec<Vec<(f64, f64)>>, style: Style) -> Line {
        Line { name: "n".into(), style, parts }
    }

    #[test]
    fn a_line_rises_from_the_lower_left_to_the_upper_right() {
        let drawn = text(&chart(vec![line(vec![vec![(0.0, 0.0), (100.0, 1.0)]], Style::Line)]), 40);
        let rows: Vec<&str> = drawn.lines().collect();
        assert_eq!(rows.len(), 1 + 1 + ROWS + 3);
        assert!(rows.iter().all(|r| r.chars().count() <= 40), "{drawn}");
        let dots = |row: &str| -> Vec<usize> {
            let is = |(_, c): &(usize, char)| (0x2801..=0x28ff).contains(&u32::from(*c));
            row.chars().enumerate().filter(is).map(|(i, _)| i).collect()
        };
        let found: Vec<Vec<usize>> = rows[2..2 + ROWS].iter().map(|r| dots(r)).collect();
        let filled: Vec<&Vec<usize>> = found.iter().filter(|d| !d.is_empty()).collect();
        assert!(filled.len() >= ROWS - 2, "{drawn}");
        assert!(
            filled.windows(2).all(|w| w[0].first().unwrap() + 1 >= *w[1].last().unwrap()),
            "{drawn}"
        );
        assert!(
            drawn.contains("RMSD (nm)") && drawn.contains("time (ps)") && drawn.contains("1.0┤")
        );
        assert!(rows[1 + 1 + ROWS + 1].contains("50"), "{drawn}");
    }

    #[test]
    fn each_of_several_lines_has_a_panel_and_no_chart_is_too_odd() {
        let several = vec![
            line(vec![vec![(0.0, 1.0), (1.0, 2.0)]], Style::Points),
            line(vec![vec![(0.0, 3.0), (1.0, 3.0), (1.0, 0.0), (2.0, 0.0)]], Style::Bars),
        ];
        let drawn = text(&chart(several), 60);
        assert_eq!(drawn.lines().filter(|l| l.trim() == "n").count(), 2);
        for parts in [
            vec![],
            vec![vec![(0.0, 1.0)]],
            vec![vec![(-f64::MAX, f64::MAX), (f64::MAX, -f64::MAX)]],
            vec![vec![(1e15, 1.0), (1e15 + 1.0, 2.0)], vec![(0.0, 0.0)]],
        ] {
            for columns in [1, 20, 200] {
                assert!(!text(&chart(vec![line(parts.clone(), Style::Line)]), columns).is_empty());
            }
        }
        assert!(text(&chart(vec![]), 80).contains("RMSD"));
    }
}
