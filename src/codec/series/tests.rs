use super::*;
use proptest::prelude::*;

fn encoded(times: Option<&[f64]>, channels: &[&[f64]], packing: Packing) -> Vec<u8> {
    let mut out = Vec::new();
    let series = SeriesRef::start(0, times, channels).unwrap();
    SeriesCodec.encode_with(&series, packing, &mut out).unwrap();
    out
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|v| v.to_bits()).collect()
}

fn check(times: Option<&[f64]>, channels: &[&[f64]]) {
    for packing in [Packing::Plain, Packing::Pco(0), Packing::default()] {
        let record = encoded(times, channels, packing);
        let mut space = AlignedBuf::default();
        let view = SeriesCodec.decode(ready(&record, &mut space).unwrap()).unwrap();
        assert_eq!(view.times().map(bits), times.map(bits));
        assert_eq!(view.channels(), channels.len());
        for (i, channel) in channels.iter().enumerate() {
            assert_eq!(bits(view.channel(i).unwrap()), bits(channel));
        }
        assert_eq!(view.channel(channels.len()), None);
        assert_eq!(SeriesCodec.weight(&record).unwrap() as usize, channels[0].len());
    }
}

#[test]
fn every_bit_comes_back() {
    let odd = [
        f64::NAN,
        f64::from_bits(0x7ff0_0000_0000_0001),
        f64::from_bits(0xfff8_0000_0000_beef),
        -0.0,
        0.0,
        5e-324,
        -2.2e-308,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
    ];
    check(Some(&odd), &[&odd, &odd]);
    check(None, &[&[]]);
    check(Some(&[]), &[&[]]);
    check(None, &[&[-0.0]]);
    let many: Vec<f64> =
        (0..500_u32).flat_map(|i| odd[..10].iter().map(move |x| x + f64::from(i / 10))).collect();
    let times: Vec<f64> = (0..5000).map(|i| f64::from(i) * 0.1).collect();
    check(Some(&times), &[&many, &times]);
}

#[test]
fn what_is_smaller_packed_is_packed_and_what_is_not_is_viewed_where_it_lies() {
    let values: Vec<f64> = (0..5000).map(|i| f64::from(i % 321) * 0.001).collect();
    let packed = encoded(None, &[&values], Packing::default());
    assert!(packed.len() < 8 * values.len() / 4, "{}", packed.len());
    assert!(SeriesCodec.expand(&packed).unwrap().is_some());
    let short = encoded(None, &[&[1.5]], Packing::default());
    assert_eq!(short.len(), 40);
    assert!(SeriesCodec.expand(&short).unwrap().is_none());
}

#[test]
fn the_layout_is_as_documented() {
    let record = encoded(Some(&[2.0]), &[&[1.0]], Packing::Plain);
    let mut expected = vec![0x5e, 1, 0, 1, 1, 0, 0, 0];
    expected.extend([0; 8]);
    expected.extend(1u64.to_le_bytes());
    expected.extend([0; 8]);
    expected.extend(2f64.to_le_bytes());
    expected.extend(1f64.to_le_bytes());
    assert_eq!(record, expected);
    assert_eq!(
        SeriesCodec.describe(&record).unwrap(),
        r#"{"codec":"series","part":"start","first":0,"points":1,"mark":0,"times":[2.0],"values":[[1.0]]}"#
    );
}

#[test]
fn an_account_comes_back_and_a_wrong_one_is_refused() {
    let growth = Growth {
        mark: 9,
        channels: 1,
        times: true,
        sorted: true,
        last: 3.5,
        len: 25,
        start: 10,
        block: 4,
        blocks: 3,
        pieces: vec![2, 1],
    };
    let mut out = Vec::new();
    assert_eq!(SeriesCodec.encode_growth(&growth, &mut out).unwrap().weight, 25);
    let record = AlignedBuf::copy_of(&out).unwrap();
    assert_eq!(SeriesCodec.decode(&record).unwrap().growth(), Some(&growth));
    assert_eq!(
        SeriesCodec.describe(&record).unwrap(),
        r#"{"codec":"series","part":"growth","first":10,"points":25,"mark":9,"block":4,"blocks":3,"sorted":true,"pieces":[2,1]}"#
    );
    let wrong = Growth { len: 26, ..growth.clone() };
    assert!(SeriesCodec.encode_growth(&wrong, &mut out).is_err());
    let wrong = Growth { mark: 0, ..growth };
    assert!(SeriesCodec.encode_growth(&wrong, &mut out).is_err());
}

#[test]
fn a_start_is_marked_without_unpacking_it_and_weighs_what_no_other_does() {
    let values: Vec<f64> = (0..5000).map(|i| f64::from(i % 321) * 0.001).collect();
    let alone = encoded(None, &[&values], Packing::default());
    assert_eq!(SeriesCodec.weight(&alone).unwrap(), 5000);
    let mut marked = Vec::new();
    assert_eq!(SeriesCodec.encode_marked(&alone, 7, &mut marked).unwrap().weight, u32::MAX);
    assert_eq!((&marked[..24], &marked[32..]), (&alone[..24], &alone[32..]));
    assert_eq!(marked[24..32], 7u64.to_le_bytes());
    assert_eq!(SeriesCodec.weight(&marked).unwrap(), u32::MAX);
    let head = SeriesCodec.peek(&marked[..32]).unwrap();
    assert_eq!((head.mark, head.points), (7, 5000));
    assert!(SeriesCodec.encode_marked(&alone, 0, &mut marked).is_err());
    let later = SeriesRef::continuation(5, 7, None, &[&[1.0]]).unwrap();
    let mut out = Vec::new();
    assert_eq!(SeriesCodec.encode(&later, &mut out).unwrap().weight, 1);
    assert!(SeriesCodec.encode_marked(&out, 7, &mut marked).is_err());
    assert!(SeriesRef::continuation(5, 0, None, &[&[1.0]]).is_err());
}

#[test]
fn lengths_that_differ_are_refused() {
    let why = SeriesRef::start(0, Some(&[1.0]), &[&[1.0, 2.0]]).unwrap_err().to_string();
    assert!(why.contains("1 times and 2 values"), "{why}");
    assert!(SeriesRef::start(0, None, &[]).is_err());
    assert!(SeriesRef::start(0, None, &[&[1.0], &[]]).is_err());
}

#[test]
fn each_rule_of_the_layout_is_refused() {
    let good = encoded(Some(&[2.0]), &[&[1.0]], Packing::Plain);
    for (at, byte) in
        [(0, 0), (1, 2), (2, 3), (3, 8), (3, 5), (3, 3), (4, 0), (4, 2), (6, 2), (8, 1), (16, 2)]
    {
        let mut bytes = good.clone();
        bytes[at] = byte;
        assert!(SeriesCodec.weight(&bytes).is_err(), "byte {at} = {byte}");
    }
    let values: Vec<f64> = (0..300).map(f64::from).collect();
    let packed = encoded(None, &[&values], Packing::default());
    for at in 0..packed.len() {
        let mut bytes = packed.clone();
        bytes[at] ^= 0x55;
        // Damage that the checksums of a store find; here it must only not end the program.
        let _ = SeriesCodec.weight(&bytes);
        let _ = SeriesCodec.weight(&packed[..at]);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_part_or_an_error(mut bytes: Vec<u8>, part in 0..3u8, flags in 0..4u8) {
        let start = [0x5e, 1, part, flags, 1, 0, 0, 0];
        bytes.splice(..0, start);
        prop_assert_eq!(SeriesCodec.weight(&bytes).is_ok(), SeriesCodec.describe(&bytes).is_ok());
    }
}
