//! Checks the chain of audit lines. Pure: it takes the lines one by one, and keeps only what a chain needs to be checked.

use std::collections::{BTreeMap, HashMap};

use serde::de::IgnoredAny;
use spike_daemon::chain::{ChainId, LineHash, Mark};

/// The most findings that are kept. Further ones are counted.
const MAX_FINDINGS: usize = 1000;

/// The most gaps of one chain that may still be filled. Over it, the first is reported at once.
const MAX_GAPS: usize = 10_000;

/// The most lines without a mark that may still turn out to be part of a chain.
const MAX_UNMARKED: usize = 10_000;

/// The most chains. A line of a further one counts as foreign.
const MAX_CHAINS: usize = 100_000;

/// A line of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The index of the file among those that were given.
    pub(super) file: usize,
    /// From 1.
    pub(super) line: u64,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is not as it was when the next line was written.
    Changed,
    /// So many lines are missing before it, with these numbers.
    Missing { first: u64, last: u64 },
    /// A line with its number was there before.
    Repeated,
    /// It stands behind lines with higher numbers.
    Moved,
    /// It has no place in a chain.
    Foreign,
    /// Its end is missing, and the next line says so.
    CutOff,
}

/// One thing that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) place: Place,
    pub(super) kind: Kind,
    /// The number of the line in its chain, if it has one.
    pub(super) number: Option<u64>,
}

/// A chain as far as it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) chain: ChainId,
    /// The lowest number.
    pub(super) first: u64,
    /// The highest number.
    pub(super) last: u64,
    /// The hash of the line with that number.
    pub(super) head: LineHash,
}

/// The result of a check.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) lines: u64,
    pub(super) chains: Vec<Summary>,
    /// In the order of the lines.
    pub(super) findings: Vec<Finding>,
    /// How many there are beyond those.
    pub(super) left_out: u64,
    /// Whether a line has the hash that was looked for.
    pub(super) has_head: bool,
}

/// A check in progress.
#[derive(Debug, Default)]
pub(super) struct Verifier {
    chains: HashMap<ChainId, State>,
    /// In the order in which they were found.
    order: Vec<ChainId>,
    /// Lines without a mark since the last one with a mark.
    unmarked: Vec<Unmarked>,
    /// The line before, if it has a mark.
    before: Option<(ChainId, u64, LineHash)>,
    findings: Vec<Finding>,
    left_out: u64,
    lines: u64,
    head: Option<LineHash>,
    has_head: bool,
}

#[derive(Clone, Copy, Debug)]
struct Unmarked {
    place: Place,
    hash: LineHash,
    /// Whether its newline is there.
    has_end: bool,
}

/// A line with a mark.
#[derive(Clone, Copy, Debug)]
struct Line {
    place: Place,
    mark: Mark,
    hash: LineHash,
}

#[derive(Debug)]
struct State {
    first: u64,
    highest: u64,
    hash: LineHash,
    place: Place,
    /// Numbers that were passed over, by the first of them.
    gaps: BTreeMap<u64, Gap>,
}

#[derive(Clone, Copy, Debug)]
struct Gap {
    last: u64,
    /// The line before the gap; `None` before the first line of a chain that was found.
    before: Option<(Place, LineHash)>,
    /// Whether its lines may have been in an older file, which is removed in the course of time.
    may_be_older: bool,
    /// The place of the line behind it, and the hash that this line has of the last one in the gap.
    after: (Place, LineHash),
}

impl Verifier {
    /// A check that looks for a line with the hash `head`, if there is one to look for.
    pub(super) fn new(head: Option<LineHash>) -> Self {
        Self { head, ..Self::default() }
    }

    /// The next line, with its newline if it has one.
    pub(super) fn line(&mut self, place: Place, bytes: &[u8]) {
        self.lines += 1;
        let hash = LineHash::of(bytes);
        self.has_head |= self.head == Some(hash);
        let Some(mark) = Mark::of(bytes) else {
            self.unmarked.push(Unmarked { place, hash, has_end: bytes.ends_with(b"\n") });
            self.before = None;
            if self.unmarked.len() > MAX_UNMARKED {
                self.refuse_unmarked();
            }
            return;
        };
        if serde_json::from_slice::<IgnoredAny>(bytes).is_err() {
            self.find(place, Kind::Changed, Some(mark.number));
        }
        let line = Line { place, mark, hash };
        match self.chains.remove(&mark.chain) {
            None if self.chains.len() >= MAX_CHAINS => self.find(place, Kind::Foreign, None),
            None => self.begin(line),
            Some(mut state) => {
                self.go_on(&mut state, line);
                self.chains.insert(mark.chain, state);
            }
        }
        self.before = Some((mark.chain, mark.number, hash));
    }

    /// Ends the check.
    pub(super) fn finish(mut self) -> Report {
        self.refuse_unmarked();
        let mut chains = Vec::new();
        for chain in std::mem::take(&mut self.order) {
            let Some(state) = self.chains.remove(&chain) else { continue };
            for (first, gap) in &state.gaps {
                self.miss(*first, gap);
            }
            let State { first, highest, hash, .. } = state;
            chains.push(Summary { chain, first, last: highest, head: hash });
        }
        self.findings.sort_by_key(|finding| finding.place);
        let Self { lines, findings, left_out, has_head, .. } = self;
        Report { lines, chains, findings, left_out, has_head }
    }

    fn begin(&mut self, line: Line) {
        let Line { place, mark, hash } = line;
        self.refuse_unmarked();
        let mut gaps = BTreeMap::new();
        if mark.number == 1 && mark.previous != LineHash::NONE {
            self.find(place, Kind::Changed, Some(1));
        } else if mark.number > 1 {
            let after = (place, mark.previous);
            // What comes before the first of all lines may be in an older file.
            let may_be_older = self.order.is_empty();
            gaps.insert(1, Gap { last: mark.number - 1, before: None, may_be_older, after });
        }
        let state = State { first: mark.number, highest: mark.number, hash, place, gaps };
        self.chains.insert(mark.chain, state);
        self.order.push(mark.chain);
    }

    fn go_on(&mut self, state: &mut State, line: Line) {
        let Line { place, mark, hash } = line;
        let unmarked = self.unmarked.len() as u64;
        if mark.number <= state.highest {
            self.refuse_unmarked();
            self.go_back(state, line);
            return;
        }
        let passed_over = mark.number - state.highest - 1;
        if unmarked > 0 && passed_over == unmarked {
            // The daemon counted them: they were lines, or what was left of one.
            self.explain_unmarked(mark.previous);
        } else {
            self.refuse_unmarked();
            if passed_over > 0 {
                let before = Some((state.place, state.hash));
                let after = (place, mark.previous);
                let gap = Gap { last: mark.number - 1, before, may_be_older: false, after };
                state.gaps.insert(state.highest + 1, gap);
                self.bound(state);
            } else if mark.previous != state.hash {
                self.find(state.place, Kind::Changed, Some(state.highest));
            }
        }
        (state.highest, state.hash, state.place) = (mark.number, hash, place);
    }

    /// A line with a number that was passed over, or was there before.
    fn go_back(&mut self, state: &mut State, line: Line) {
        let Line { place, mark, hash } = line;
        let continues = self.before == Some((mark.chain, mark.number - 1, mark.previous));
        let gap = state.gaps.range(..=mark.number).next_back().map(|(first, gap)| (*first, *gap));
        let Some((first, gap)) = gap.filter(|(_, gap)| mark.number <= gap.last) else {
            if !continues {
                self.find(place, Kind::Repeated, Some(mark.number));
            }
            return;
        };
        state.first = state.first.min(mark.number);
        if !continues {
            self.find(place, Kind::Moved, Some(mark.number));
        }
        state.gaps.remove(&first);
        if mark.number > first {
            let after = (place, mark.previous);
            state.gaps.insert(first, Gap { last: mark.number - 1, after, ..gap });
        } else if let Some((before, expected)) = gap.before
            && mark.previous != expected
        {
            self.find(before, Kind::Changed, Some(mark.number - 1));
        }
        if mark.number < gap.last {
            let before = Some((place, hash));
            state.gaps.insert(mark.number + 1, Gap { before, may_be_older: false, ..gap });
            self.bound(state);
        } else if gap.after.1 != hash {
            self.find(place, Kind::Changed, Some(mark.number));
        }
    }

    fn bound(&mut self, state: &mut State) {
        if state.gaps.len() > MAX_GAPS
            && let Some((first, gap)) = state.gaps.pop_first()
        {
            self.miss(first, &gap);
        }
    }

    fn miss(&mut self, first: u64, gap: &Gap) {
        if !gap.may_be_older {
            self.find(gap.after.0, Kind::Missing { first, last: gap.last }, None);
        }
    }

    /// The lines without a mark belong to no chain.
    fn refuse_unmarked(&mut self) {
        for line in std::mem::take(&mut self.unmarked) {
            let kind = if line.has_end { Kind::Foreign } else { Kind::CutOff };
            self.find(line.place, kind, None);
        }
    }

    /// The lines without a mark have numbers of a chain, and `previous` is the hash of the last one as it was.
    fn explain_unmarked(&mut self, previous: LineHash) {
        let lines = std::mem::take(&mut self.unmarked);
        let as_they_were = lines.last().is_some_and(|line| line.hash == previous);
        for line in lines {
            let is_cut = as_they_were || !line.has_end;
            self.find(line.place, if is_cut { Kind::CutOff } else { Kind::Changed }, None);
        }
    }

    fn find(&mut self, place: Place, kind: Kind, number: Option<u64>) {
        let finding = Finding { place, kind, number };
        if self.findings.len() >= MAX_FINDINGS {
            self.left_out += 1;
        } else if !self.findings.contains(&finding) {
            // A line that is no JSON also has another hash than the next one says.
            self.findings.push(finding);
        }
    }
}
