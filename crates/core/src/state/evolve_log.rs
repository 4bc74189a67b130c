//! Evolve, for the log itself: openings, recovery, gaps, ticks and dropped history.

use crate::{
    base::amount::UnixMillis,
    base::vocabulary::Vocabulary,
    event::event::Event,
    event::part::PartStatus,
    payment::at::{At, Inconsistent},
    payment::part::Part,
    payment::payment::ConclusionDue,
    state::evolve::fits,
    state::state::{Dropped, State},
};

impl State {
    /// Folds an event about the log itself and not about a payment.
    pub(super) fn try_evolve_log(&mut self, at: At, event: &Event) -> Result<(), Inconsistent> {
        match event {
            Event::Opened { epoch, restored, format, .. } => {
                self.vocabulary = Vocabulary(*format);
                self.on_opened(at, *epoch, *restored)
            }
            Event::HistoryDropped { base, digest, replaces } => {
                self.on_history_dropped(at, Dropped { base: *base, digest: *digest }, *replaces)
            }
            Event::Recovered => self.on_recovered(),
            Event::GapFound => self.on_gap_found(at),
            Event::GapClosed => self.on_gap_closed(),
            Event::Ticked { tick, reference, unfinished, doubted } => {
                self.on_ticked((*tick, *reference), *unfinished, *doubted)
            }
            Event::HeightTold { height } => {
                // An operator's word can fail a part only above a height that the node reported: a
                // height that somebody typed could fail a part that is still on its channel (SEMANTICS
                // 4).
                self.height = Some(*height);
                Ok(())
            }
            _ => Err(Inconsistent),
        }
    }

    fn on_opened(&mut self, at: At, epoch: u64, restored: bool) -> Result<(), Inconsistent> {
        // If two writers had the same epoch, one could take the other's dispatches for its own and not
        // ask the node about them (SEMANTICS 7).
        fits(self.epoch.checked_add(1) == Some(epoch))?;
        self.epoch = epoch;
        // If the last writer died before it finished its recovery, this one continues that recovery.
        if !self.recovering {
            self.recovery_since = epoch;
        }
        // The log alone does not show what became of parts that were out. So nothing is sent, failed or
        // forgotten before the node has answered (SEMANTICS 7).
        self.recovering = true;
        // A gap of an earlier opening stays open: payments made in it would be paid again (SEMANTICS 7).
        self.gap |= restored;
        // The earliest reading counts. Otherwise one opening with a clock far ahead would make later
        // wrong readings believable (SEMANTICS 6).
        let first = if epoch == 1 { at.now } else { self.first_reading };
        self.first_reading = first.min(at.now);
        Ok(())
    }

    fn on_recovered(&mut self) -> Result<(), Inconsistent> {
        fits(self.recovering)?;
        self.recovering = false;
        self.clear_conclusions();
        Ok(())
    }

    /// What the log lacks may be about any part that an earlier writer dispatched, so *never sent* is
    /// doubtful for those parts. Only what was reported since this recovery began is taken back.
    fn on_gap_found(&mut self, at: At) -> Result<(), Inconsistent> {
        fits(!self.gap)?;
        self.gap = true;
        let (at, since) = (At { withheld: true, ..at }, self.recovery_since);
        let doubtful = |part: &Part| {
            part.status == PartStatus::Withdrawn && part.details.withdrawn_in >= since
        };
        let places = self
            .payments
            .handles()
            .filter(|handle| self.payments.get(*handle).parts.iter().any(doubtful));
        let foreign_parts = self.foreign_parts.handles();
        let foreign_parts =
            foreign_parts.filter(|handle| doubtful(&self.foreign_parts.get(*handle).part));
        let foreign_parts: alloc::vec::Vec<_> = foreign_parts.collect();
        for handle in places.collect::<alloc::vec::Vec<_>>() {
            let at = self.at_payment(at, handle);
            let id = self.payments.get(handle).id;
            let taken =
                self.change_parts(handle, |payment| payment.take_back_never_sent(at, since));
            if taken && self.payments.get(handle).details.failure_superseded {
                self.supersede_failure(&id);
            }
        }
        for handle in foreign_parts {
            self.change_foreign_part_at(at, handle, |foreign_part| {
                foreign_part.part.take_back_never_sent(since);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// The previous base is kept until the drop is done: it is still the base if the drop is interrupted.
    fn on_history_dropped(
        &mut self,
        at: At,
        dropped: Dropped,
        replaces: Option<u64>,
    ) -> Result<(), Inconsistent> {
        let known = self.dropped.iter().any(|known| Some(known.base.seq) == replaces);
        // A base can only stand for history before this event. Any other base would hide payments (SEMANTICS 8).
        let rises = dropped.base.seq < at.seq && replaces.is_none_or(|seq| seq <= dropped.base.seq);
        if !rises || replaces.is_some() != known {
            return Err(Inconsistent);
        }
        self.dropped.items_mut().retain(|known| Some(known.base.seq) == replaces);
        self.dropped.push(dropped);
        Ok(())
    }

    fn on_gap_closed(&mut self) -> Result<(), Inconsistent> {
        fits(self.gap)?;
        self.gap = false;
        self.clear_conclusions();
        Ok(())
    }

    /// When conclusions are no longer withheld, all that were due have been drawn: clears the marks.
    fn clear_conclusions(&mut self) {
        if self.withholds_conclusions() {
            return;
        }
        let drawn: alloc::vec::Vec<_> =
            self.undecided().filter_map(|payment| self.live(&payment.id)).map(|at| at.0).collect();
        for handle in drawn {
            self.change_payment(handle, None, |payment| payment.conclusion_due = ConclusionDue::No);
        }
    }

    fn on_ticked(
        &mut self,
        (tick, reference): (u64, UnixMillis),
        unfinished: bool,
        doubted: Option<UnixMillis>,
    ) -> Result<(), Inconsistent> {
        // If the number jumped, a paid id would be forgotten too early, and a repeat would pay again
        // (SEMANTICS 6).
        fits(tick == self.tick || Some(tick) == self.tick.checked_add(1))?;
        self.tick = tick;
        self.tick_reference = Some(reference);
        self.tick_unfinished = unfinished;
        self.tick_doubted = doubted;
        Ok(())
    }
}
