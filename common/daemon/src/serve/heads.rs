//! Counts the heads of HTTP/2 requests as they arrive.
//!
//! The HTTP/2 library answers malformed heads itself and does not report them. So the heads that arrived are counted
//! here and compared with the requests that began: the difference was refused. Only the nine bytes before each frame
//! are kept.

use super::{fields::HeaderBlock, limits::MAX_FIELDS};

/// The length of the client preface, sent before the first frame (RFC 9113, section 3.4).
const PREFACE: usize = 24;

/// The length of the header of each frame (RFC 9113, section 4.1).
const FRAME_HEAD: usize = 9;

/// Frame types and a flag (RFC 9113, section 6).
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const WINDOW_UPDATE: u8 = 0x8;
const CONTINUATION: u8 = 0x9;
const END_HEADERS: u8 = 0x4;

/// The names and values that HTTP/2 sends as fields besides those of the head, and some that it might.
const PSEUDO_FIELDS: usize = 8;

/// How many gaps between the streams of one connection are remembered. Ordinary clients leave none.
const GAPS: usize = 8;

/// The position in a header block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    /// Outside of a header block.
    None,
    /// Another frame of it must follow.
    Unfinished,
    /// In its last frame.
    Last { of_request: bool },
}

/// The position in the frames of one connection.
#[derive(Debug)]
pub(super) struct FrameReader {
    /// Bytes to skip before the next frame.
    skip: usize,
    /// The beginning of an incomplete frame header.
    partial: [u8; FRAME_HEAD],
    partial_len: usize,
    /// The highest stream that has begun.
    last_stream: u32,
    /// The first and the last stream of each gap: a peer that skips streams may not open them later.
    gaps: [(u32, u32); GAPS],
    gaps_len: usize,
    /// The incomplete header block begins a stream; it is not a trailer.
    begins_stream: bool,
    /// The start of the connection has arrived: the preface and the header of a first frame.
    is_open: bool,
    block: Block,
    content: HeaderBlock,
    /// Header blocks in the last bytes with more fields than any request may have.
    large_blocks: u32,
    /// Frames in the last bytes that carry neither a part of a head nor of a body.
    other_frames: u64,
    /// How many of these open a window for an answer.
    windows: u64,
    /// The last bytes completed something that had begun.
    has_ended: bool,
}

impl FrameReader {
    pub(super) const fn new() -> Self {
        Self {
            skip: PREFACE,
            partial: [0; FRAME_HEAD],
            partial_len: 0,
            last_stream: 0,
            gaps: [(0, 0); GAPS],
            gaps_len: 0,
            begins_stream: false,
            is_open: false,
            block: Block::None,
            content: HeaderBlock::new(),
            large_blocks: 0,
            other_frames: 0,
            windows: 0,
            has_ended: false,
        }
    }

    /// Whether the bytes so far end inside something that must arrive quickly: the start of the connection, a frame
    /// header, or a header block.
    pub(super) const fn is_within(&self) -> bool {
        !self.is_open || !matches!(self.block, Block::None) || self.partial_len > 0
    }

    /// Whether the last bytes completed something of that kind.
    pub(super) const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// How many header blocks turned out in the last bytes to have more fields than any request may have.
    pub(super) const fn large_blocks(&self) -> u32 {
        self.large_blocks
    }

    /// How many frames began in the last bytes that carry neither a part of a head nor of a body.
    pub(super) const fn other_frames(&self) -> u64 {
        self.other_frames
    }

    /// How many of these open a window for an answer.
    pub(super) const fn windows(&self) -> u64 {
        self.windows
    }

    /// How many bytes are left of the frame, or of its header while that is not complete.
    pub(super) const fn left(&self) -> usize {
        if self.skip > 0 { self.skip } else { FRAME_HEAD - self.partial_len }
    }

    /// Reads the next bytes, and returns how many request heads they complete.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> u64 {
        let mut heads = 0;
        (self.has_ended, self.large_blocks) = (false, 0);
        (self.other_frames, self.windows) = (0, 0);
        loop {
            let (payload, rest) = bytes.split_at(self.skip.min(bytes.len()));
            self.skip -= payload.len();
            bytes = rest;
            if self.block != Block::None {
                let was_large = self.has_large_block();
                self.content.take(payload);
                self.large_blocks += u32::from(!was_large && self.has_large_block());
            }
            if let (0, Block::Last { of_request }) = (self.skip, self.block) {
                (self.block, self.has_ended) = (Block::None, true);
                heads += u64::from(of_request);
            }
            if bytes.is_empty() {
                return heads;
            }
            let frame = match bytes.split_first_chunk() {
                Some((frame, rest)) if self.partial_len == 0 => {
                    bytes = rest;
                    *frame
                }
                _ => {
                    let Some(byte) = bytes.split_off_first() else { return heads };
                    if let Some(place) = self.partial.get_mut(self.partial_len) {
                        *place = *byte;
                    }
                    self.partial_len += 1;
                    if self.partial_len < FRAME_HEAD {
                        continue;
                    }
                    self.partial_len = 0;
                    self.partial
                }
            };
            self.begin_frame(frame);
        }
    }

    const fn has_large_block(&self) -> bool {
        self.content.fields() > MAX_FIELDS + PSEUDO_FIELDS
    }

    /// The header of a frame has arrived.
    fn begin_frame(&mut self, frame: [u8; FRAME_HEAD]) {
        let [high, middle, low, kind, flags, stream @ ..] = frame;
        let length = u32::from_be_bytes([0, high, middle, low]);
        self.skip = usize::try_from(length).unwrap_or(usize::MAX);
        self.is_open = true;
        // A block that continues in many frames does not end with any of their headers.
        self.has_ended |= self.block == Block::None;
        match kind {
            HEADERS => {
                let stream = u32::from_be_bytes(stream) & 0x7fff_ffff;
                self.begins_stream = self.begins(stream);
                self.content.begin(flags, self.skip);
            }
            CONTINUATION => self.content.resume(self.skip),
            DATA if length > 0 => return,
            _ => {
                self.windows += u64::from(kind == WINDOW_UPDATE);
                self.other_frames += 1;
                return;
            }
        }
        let is_last = flags & END_HEADERS != 0;
        self.block = if is_last {
            Block::Last { of_request: std::mem::take(&mut self.begins_stream) }
        } else {
            Block::Unfinished
        };
    }

    /// Whether a header block on this stream is the head of a request, allowed or not, and not a trailer.
    fn begins(&mut self, stream: u32) -> bool {
        if stream <= self.last_stream {
            // No request of a client has an even number (RFC 9113, section 5.1.1).
            let gaps = self.gaps.get(..self.gaps_len).unwrap_or_default();
            return stream.is_multiple_of(2)
                || gaps.iter().any(|(first, last)| (*first..=*last).contains(&stream));
        }
        // 1 follows 0, and 3 follows 1.
        let next = self.last_stream + if self.last_stream.is_multiple_of(2) { 1 } else { 2 };
        if stream > next {
            self.leave_out(next, stream - 1);
        }
        self.last_stream = stream;
        true
    }

    /// Remembers a gap. If there are too many, the last one is widened: for such a peer it is better to count too many
    /// heads than too few.
    fn leave_out(&mut self, first: u32, last: u32) {
        if let Some(gap) = self.gaps.get_mut(self.gaps_len) {
            *gap = (first, last);
            self.gaps_len += 1;
        } else if let Some((_, end)) = self.gaps.last_mut() {
            *end = last;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8, payload: usize) -> Vec<u8> {
        let [.., high, low] = payload.to_be_bytes();
        let mut frame = vec![0, high, low, kind, flags, 0, 0, 0, stream];
        frame.resize(FRAME_HEAD + payload, HEADERS);
        frame
    }

    #[test]
    fn heads_are_counted_wherever_the_bytes_are_cut() {
        let bytes = [
            vec![HEADERS; PREFACE],
            frame(0x4, 0, 0, 12),
            // A whole head, its body, its trailers.
            frame(HEADERS, END_HEADERS, 1, 300),
            frame(0x0, 0, 1, 1000),
            frame(HEADERS, END_HEADERS | 1, 1, 5),
            // A head in three parts.
            frame(HEADERS, 0, 3, 70),
            frame(CONTINUATION, 0, 3, 0),
            frame(CONTINUATION, END_HEADERS, 3, 70),
            // One more, and a head that does not end.
            frame(HEADERS, END_HEADERS, 5, 1),
            frame(HEADERS, 0, 7, 1),
        ]
        .concat();
        for length in 1..bytes.len() {
            let mut frames = FrameReader::new();
            let heads: u64 = bytes.chunks(length).map(|part| frames.take(part)).sum();
            assert_eq!(heads, 3, "in parts of {length} bytes");
        }
    }

    /// While its last frame was arriving, it looked as if the library had refused it: it had a line and counted as a denial.
    #[test]
    fn a_head_counts_once_its_last_byte_has_arrived() {
        let mut frames = FrameReader::new();
        frames.take(&[vec![0; PREFACE], frame(0x4, 0, 0, 0)].concat());
        for head in [
            frame(HEADERS, END_HEADERS, 1, 5),
            [frame(HEADERS, 0, 3, 5), frame(CONTINUATION, END_HEADERS, 3, 5)].concat(),
            frame(HEADERS, END_HEADERS, 5, 0),
        ] {
            let (last, before) = head.split_last().unwrap();
            assert_eq!(before.iter().map(|byte| frames.take(&[*byte])).sum::<u64>(), 0);
            assert_eq!(frames.take(&[*last]), 1);
            assert_eq!(frames.take(&frame(DATA, 1, 1, 3)), 0);
        }
    }

    #[test]
    fn a_head_with_more_fields_than_any_request_may_have_is_noticed_however_short_they_are() {
        // The fill byte of `frame` begins a literal; 0x82 is a whole field (RFC 7541, appendix A).
        let short = |kind, flags, stream, fields| {
            let mut frame = frame(kind, flags, stream, fields);
            frame[FRAME_HEAD..].fill(0x82);
            frame
        };
        let many = |bytes: &[u8]| {
            let mut frames = FrameReader::new();
            frames.take(&[HEADERS; PREFACE]);
            frames.take(bytes);
            frames.large_blocks()
        };
        assert_eq!(many(&short(HEADERS, END_HEADERS, 1, 100)), 0);
        assert_eq!(many(&short(HEADERS, END_HEADERS, 1, 200)), 1);
        let two = [short(HEADERS, 0, 1, 60), short(CONTINUATION, END_HEADERS, 1, 60)].concat();
        assert_eq!(many(&two), 1, "one head in two frames");
        let two = [short(HEADERS, END_HEADERS, 1, 60), short(HEADERS, END_HEADERS, 3, 60)].concat();
        assert_eq!(many(&two), 0, "two heads");
        let two = short(HEADERS, END_HEADERS, 1, 200).repeat(2);
        assert_eq!(many(&two), 2, "two large heads");
    }

    #[test]
    fn frames_that_carry_nothing_of_a_request_are_counted() {
        let mut frames = FrameReader::new();
        let bytes = [
            vec![0; PREFACE],
            frame(0x4, 0, 0, 12),
            frame(HEADERS, END_HEADERS, 1, 5),
            frame(DATA, 0, 1, 10),
            frame(DATA, 0, 1, 0),
            frame(0x6, 0, 0, 8),
            frame(0xee, 0, 0, 20),
        ];
        frames.take(&bytes.concat());
        assert_eq!(frames.other_frames(), 4);
        assert_eq!(frames.windows(), 0);
        frames.take(&frame(DATA, 1, 1, 10));
        assert_eq!(frames.other_frames(), 0);
        frames.take(&[frame(WINDOW_UPDATE, 0, 1, 4), frame(DATA, 1, 1, 10)].concat());
        assert_eq!(frames.windows(), 1);
    }

    fn heads_on(streams: &[u8]) -> u64 {
        let frames = streams.iter().flat_map(|stream| frame(HEADERS, END_HEADERS, *stream, 9));
        FrameReader::new().take(&[vec![0; PREFACE], frames.collect()].concat())
    }

    #[test]
    fn a_head_on_a_stream_that_was_left_out_before_is_counted_beside_the_whole_one() {
        assert_eq!(heads_on(&[5, 3]), 2);
        assert_eq!(heads_on(&[1, 9, 7, 3, 5]), 5);
        assert_eq!(heads_on(&[1, 3, 2]), 3, "no request has an even number");
        // Trailers.
        assert_eq!(heads_on(&[1, 3, 5, 1, 5, 3]), 3);
        assert_eq!(heads_on(&[5, 7, 9, 5, 7]), 3);
    }

    #[test]
    fn a_peer_that_leaves_out_streams_again_and_again_is_not_counted_short() {
        let left_out: Vec<u8> = (0..40).map(|number| 5 + 4 * number).collect();
        let below: Vec<u8> = left_out.iter().map(|stream| stream - 2).collect();
        let heads = (left_out.len() + below.len()) as u64;
        assert_eq!(heads_on(&[left_out, below].concat()), heads);
    }

    #[test]
    fn what_has_to_come_at_once_is_known_from_its_first_byte_to_its_last() {
        let mut frames = FrameReader::new();
        let mut after = |bytes: &[u8]| {
            frames.take(bytes);
            (frames.is_within(), frames.has_ended())
        };
        assert_eq!(after(&[HEADERS; PREFACE - 1]), (true, false));
        assert_eq!(after(&[HEADERS]), (true, false), "the first frame is still to come");
        assert_eq!(after(&frame(0x4, 0, 0, 6)), (false, true));
        assert_eq!(after(&[0]), (true, false), "a frame has begun");
        assert_eq!(after(&frame(0x0, 0, 1, 4)[1..]), (false, true));
        assert_eq!(after(&frame(0x0, 0, 1, 4)[..12]), (false, true), "a body may take its time");
        assert_eq!(after(&[0]), (false, false));
        assert_eq!(after(&frame(HEADERS, 0, 3, 5)), (true, true));
        for _ in 0..3 {
            assert_eq!(after(&frame(CONTINUATION, 0, 3, 1)), (true, false), "the same block");
        }
        let last = frame(CONTINUATION, END_HEADERS, 3, 2);
        assert_eq!(after(&last[..10]), (true, false));
        assert_eq!(after(&last[10..]), (false, true));
        assert_eq!(after(&frame(HEADERS, END_HEADERS, 5, 0)), (false, true));
        let next = frame(HEADERS, END_HEADERS, 7, 9);
        let both = [&next[..], &next[..10]].concat();
        assert_eq!(after(&both), (true, true), "one ends and one begins");
    }
}
