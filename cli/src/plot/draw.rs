//! A chart as the bytes of a picture. The font is in the program: the machine needs none.

use super::axis::Axis;
use super::chart::{Chart, Style};
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::prelude::*;
use plotters::style::register_font;
use std::path::Path;
use std::sync::OnceLock;
use vlstore::{Error, Result};

/// Which kind of picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Picture {
    Png,
    Svg,
}

impl Picture {
    /// By the ending of its name.
    pub(super) fn of(path: &Path) -> Result<Self> {
        let ending = path.extension().map(|e| e.to_ascii_lowercase());
        match ending.as_deref().and_then(|e| e.to_str()) {
            Some("png") => Ok(Self::Png),
            Some("svg") => Ok(Self::Svg),
            _ => {
                Err(Error::invalid("picture", "its name ends neither in .png nor in .svg").at(path))
            }
        }
    }
}

/// `1000x600`.
pub(super) fn size(text: &str) -> Result<(u32, u32), String> {
    let (w, h) = text.split_once('x').ok_or("a size is WIDTHxHEIGHT, for example 1000x600")?;
    let side = |n: &str| match n.parse() {
        Ok(n) if (100..=10_000).contains(&n) => Ok(n),
        _ => Err(format!("{n:?} is not a number of pixels from 100 to 10000")),
    };
    Ok((side(w)?, side(h)?))
}

const FONT: &str = "DejaVu Sans";

fn font() -> Result<()> {
    static READY: OnceLock<bool> = OnceLock::new();
    let bytes = include_bytes!("../../data/font/DejaVuSans.ttf");
    let ready = READY.get_or_init(|| register_font(FONT, FontStyle::Normal, bytes).is_ok());
    if *ready { Ok(()) } else { Err(failed("the font cannot be read")) }
}

fn failed(why: impl std::fmt::Display) -> Error {
    Error::invalid("picture", format!("cannot be drawn: {why}"))
}

/// Colours that are told apart also by eyes that see no red or no green (those of Okabe and Ito).
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(0, 0, 0),
    RGBColor(160, 150, 20),
];

/// The colour of a line: first those above, then others all around the circle of hues, none of them twice.
fn colour(n: usize) -> RGBColor {
    if let Some(colour) = COLOURS.get(n) {
        return *colour;
    }
    // Steps of the golden ratio leave the largest gaps between the hues, however many there are.
    let n = u32::try_from(n % 10_000).unwrap_or(0);
    let hue = (f64::from(n) * 0.618_033_988_749_895).fract();
    let lightness = 0.3 + 0.1 * f64::from(n % 3);
    let (r, g, b) = HSLColor(hue, 0.7, lightness).rgb();
    RGBColor(r, g, b)
}

/// The picture of a chart.
pub(super) fn draw(chart: &Chart, picture: Picture, size: (u32, u32)) -> Result<Vec<u8>> {
    font()?;
    match picture {
        Picture::Svg => {
            let mut text = String::new();
            plot(chart, &SVGBackend::with_string(&mut text, size).into_drawing_area())?;
            Ok(text.into_bytes())
        }
        Picture::Png => {
            let (w, h) = size;
            let mut pixels = vec![0; 3 * w as usize * h as usize];
            let backend = BitMapBackend::with_buffer(&mut pixels, size);
            plot(chart, &backend.into_drawing_area())?;
            png(&pixels, size)
        }
    }
}

fn png(pixels: &[u8], (width, height): (u32, u32)) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(pixels).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(out)
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let at = f64::from(from) + self.part(*value) * f64::from(to - from);
        #[expect(clippy::cast_possible_truncation, reason = "kept inside")]
        let at = at.clamp(-1e6, 1e6).round() as i32;
        at
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        self.marks(hint.max_num_points().min(MARKS))
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        self.text(*value, MARKS)
    }
}

/// Most marks of an axis.
const MARKS: usize = 10;

fn plot<B: DrawingBackend>(
    chart: &Chart,
    area: &DrawingArea<B, plotters::coord::Shift>,
) -> Result<()> {
    let grey = RGBColor(90, 90, 90);
    let text = (FONT, 15).into_font().color(&RGBColor(40, 40, 40));
    area.fill(&WHITE).map_err(failed)?;
    let (x, y) = chart.axes();
    let widest =
        y.marks(MARKS).iter().map(|v| y.text(*v, MARKS).chars().count()).max().unwrap_or(1);
    let beside = u32::try_from(widest).unwrap_or(10) * 9 + 34;
    let mut drawn = ChartBuilder::on(area)
        .caption(&chart.title, (FONT, 20).into_font())
        .margin(12)
        .margin_right(24)
        .x_label_area_size(46)
        .y_label_area_size(beside)
        .build_cartesian_2d(x, y)
        .map_err(failed)?;
    drawn
        .configure_mesh()
        .x_desc(chart.x_label.as_str())
        .y_desc(chart.y_label.as_str())
        .label_style(text.clone())
        .axis_desc_style(text.clone())
        .axis_style(grey)
        .bold_line_style(RGBColor(225, 225, 225))
        .light_line_style(TRANSPARENT)
        .draw()
        .map_err(failed)?;
    for (line, colour) in chart.lines.iter().zip((0..).map(colour)) {
        for part in &line.parts {
            if line.style == Style::Bars {
                let bars = part.as_chunks::<2>().0.iter();
                let bar = |[(from, top), (to, _)]: &[(f64, f64); 2]| [(*from, 0.0), (*to, *top)];
                let fill = colour.mix(0.7).filled();
                let filled = bars.clone().map(|b| Rectangle::new(bar(b), fill));
                drawn.draw_series(filled).map_err(failed)?;
                let edges = bars.map(|b| Rectangle::new(bar(b), colour.stroke_width(1)));
                drawn.draw_series(edges).map_err(failed)?;
                continue;
            }
            if line.style == Style::Line {
                let points = LineSeries::new(part.iter().copied(), colour.stroke_width(1));
                drawn.draw_series(points).map_err(failed)?;
            }
            // A point between two gaps is no line.
            if line.style == Style::Points || part.len() == 1 {
                let points = part.iter().map(|p| Circle::new(*p, 2, colour.filled()));
                drawn.draw_series(points).map_err(failed)?;
            }
        }
        let empty: [(f64, f64); 0] = [];
        drawn
            .draw_series(LineSeries::new(empty, colour))
            .map_err(failed)?
            .label(&line.name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 4), (x + 12, y + 4)], colour.filled()));
    }
    if chart.lines.len() > 1 {
        drawn
            .configure_series_labels()
            .label_font(text)
            .background_style(WHITE.mix(0.85))
            .border_style(RGBColor(200, 200, 200))
            .position(SeriesLabelPosition::UpperRight)
            .draw()
            .map_err(failed)?;
    }
    area.present().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::chart::Line;

    #[test]
    fn no_two_lines_of_a_chart_have_one_colour() {
        let mut seen = std::collections::HashSet::new();
        for n in 0..100 {
            let RGBColor(r, g, b) = colour(n);
            assert!(seen.insert((r, g, b)), "{n}");
        }
    }

    #[test]
    fn charts_of_any_numbers_and_names_are_drawn() {
        let line =
            |parts: Vec<Vec<(f64, f64)>>, style| Line { name: "å 🙂 <&>".into(), style, parts };
        for parts in [
            vec![],
            vec![vec![(0.0, 1.0)]],
            vec![vec![(-f64::MAX, f64::MAX), (f64::MAX, -f64::MAX)]],
            vec![vec![(5e-324, 5e-324), (1e-323, 1e-323)]],
            vec![vec![(1e15, 1.0), (1e15 + 1.0, 2.0)], vec![(0.0, 0.0)]],
        ] {
            let lines =
                [Style::Line, Style::Points].map(|style| line(parts.clone(), style)).to_vec();
            let chart = Chart {
                title: "日本語 <title> & \"more\"".into(),
                x_label: "t / \u{b5}s".into(),
                y_label: String::new(),
                invert_y: true,
                log_x: false,
                lines,
            };
            let png = draw(&chart, Picture::Png, (300, 200)).unwrap();
            assert!(png.starts_with(b"\x89PNG"));
            let svg = String::from_utf8(draw(&chart, Picture::Svg, (300, 200)).unwrap()).unwrap();
            assert!(svg.starts_with("<svg") && svg.contains("&lt;title&gt; &amp;"), "{svg}");
        }
    }
}
