//! Any bytes, or changes to a good record, as a record of every codec and as a topology: an error, or an
//! object that is written and read again.
#![no_main]
use libfuzzer_sys::fuzz_target;
use vlstore::codec::{
    AnyCodec as _, ArrayCodec, CODECS, Codec, DocumentCodec, DocumentRef, MdFrameCodec,
    MdFrameView, SeriesCodec, SeriesRef, TopologyView, aligned,
};
use vlstore::wire::AlignedBuf;
use vlstore_fuzz::records::{let_pco_panic, records, shared};
use vlstore_fuzz::reseal::patch;

fuzz_target!(|data: &[u8]| {
    let_pco_panic();
    let Some((which, data)) = data.split_first() else { return };
    let changed = records().get(usize::from(*which)).map(|record| {
        let mut record = record.clone();
        let whole = 0..record.len();
        patch(&mut record, &[whole], data);
        record
    });
    let data = changed.as_deref().unwrap_or(data);
    let mut space = AlignedBuf::default();
    let bytes = aligned(data, &mut space).expect("memory");
    for codec in CODECS {
        let weight = codec.weight(bytes).ok();
        let shown = codec.describe(bytes).ok();
        assert!(weight.is_some() || shown.is_none());
        let _ = codec.reference(bytes);
        // What is kept smaller than it is viewed.
        if let Ok(Some(viewed)) = codec.expand(bytes) {
            assert_eq!(codec.weight(&viewed).ok(), weight);
            assert_eq!(codec.describe(&viewed).ok(), shown);
        }
        // What another version of a store keeps of it is the same.
        for version in 1..=codec.version() {
            let mut kept = Vec::new();
            if weight.is_some() && codec.for_version(version, bytes, &mut kept).expect("a record") {
                assert!(codec.version_of(&kept) <= version);
                assert_eq!(codec.weight(&kept).ok(), weight);
                assert_eq!(codec.describe(&kept).ok(), shown);
            }
        }
        if let Some(rows) = codec.rows() {
            let mut row = vec![0; rows.columns.iter().map(|c| c.count as usize).sum()];
            let _ = (rows.fill)(bytes, &mut row);
        }
    }
    // As a frame that refers to a topology, and as a topology to which a frame refers.
    for codec in CODECS {
        for (record, topology) in [(data, shared()), (&records()[2], data)] {
            let _ = codec.check_reference(record, topology);
            let _ = codec.write_json_with(record, topology, &mut std::io::sink());
        }
    }
    if let Ok(view) = MdFrameView::new(bytes) {
        let frame = view.to_owned();
        let mut again = Vec::new();
        MdFrameCodec.encode(&frame, &mut again).expect("what was read can be written");
        let mut space = AlignedBuf::default();
        let second =
            MdFrameView::new(aligned(&again, &mut space).expect("memory")).expect("and read again");
        assert_eq!(second.nsites(), view.nsites());
        // NaN is not equal to itself, its text is.
        assert_eq!(format!("{:?}", second.to_owned()), format!("{frame:?}"));
    }
    if let Ok(view) = TopologyView::new(bytes) {
        let topology = view.to_owned();
        let mut again = Vec::new();
        topology.encode(&mut again).expect("what was read can be written");
        let mut space = AlignedBuf::default();
        let second = TopologyView::new(aligned(&again, &mut space).expect("memory"))
            .expect("and read again");
        assert_eq!(format!("{:?}", second.to_owned()), format!("{topology:?}"));
    }
    let mut again = Vec::new();
    if let Ok(array) = ArrayCodec.decode(bytes) {
        ArrayCodec.encode(&array, &mut again).expect("what was read can be written");
        assert_eq!(again, bytes);
        again.clear();
    }
    if let Ok(document) = DocumentCodec.decode(bytes) {
        let parts = DocumentRef { head: document.head(), arrays: document.arrays() };
        DocumentCodec.encode(&parts, &mut again).expect("what was read can be written");
        assert_eq!(again, bytes);
        again.clear();
    }
    if let Ok(view) = SeriesCodec.decode(bytes) {
        let channels: Vec<_> = (0..view.channels()).map_while(|c| view.channel(c)).collect();
        if view.growth().is_none() {
            assert_eq!(channels.len(), view.channels());
            let part = match view.first() {
                0 => SeriesRef::start(view.mark(), view.times(), &channels),
                first => SeriesRef::continuation(first, view.mark(), view.times(), &channels),
            };
            let part = part.expect("a part of a series");
            SeriesCodec.encode(&part, &mut again).expect("what was read can be written");
            let viewed = SeriesCodec.expand(&again).expect("what was written is read");
            let second = SeriesCodec.decode(viewed.as_deref().unwrap_or(&again[..]));
            // Neither is aligned for sure where nothing was expanded.
            if let Ok(second) = second {
                assert_eq!(second.points(), view.points());
            }
        }
    }
});
