//! Commands at places, looked up once: for controllers that ask for the same ones again and again.

use crate::command::Command;
use crate::organisation::Level;

use super::super::Tick;
use super::super::rules::{LEVELS, Place, Rule};
use super::TimingState;

/// Configuration: where in a [`TimingState`] the ticks stand that a command at a place has to wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spot {
    entries: [u32; LEVELS],
    count: u8,
}

impl TimingState {
    /// Looks up [`Self::ready_down_to`]; below the place's own level nothing is asked.
    pub fn spot(&self, command: Command, place: &Place, level: Level) -> Spot {
        let id = self.rules.id(command);
        let first = id as u32 * self.rules.nodes;
        let levels = self.rules.effects[id].waits_at.iter().filter(|&&at| at <= (level as u8).min(place.level));
        let mut spot = Spot::default();
        for &at in levels {
            spot.entries[usize::from(spot.count)] = first + place.path[usize::from(at)];
            spot.count += 1;
        }
        spot
    }

    /// [`Self::ready_down_to`] of what [`Self::spot`] has looked up.
    #[inline]
    pub fn ready_at_spot(&self, spot: &Spot) -> Tick {
        let entries = spot.entries.iter().take(usize::from(spot.count));
        entries.fold(0, |ready, &entry| ready.max(self.earliest[entry as usize]))
    }

    /// Looks up by how much a command at a place holds back the next one like it there, for each entry of its spot, 0 for
    /// not at all; `None` where there is more to it.
    pub fn own_moves(&self, command: Command, place: &Place, spot: &Spot) -> Option<[u32; Level::ALL.len()]> {
        let moves = self.moves(command, place)?;
        let latency = |entry: &u32| moves.iter().find(|(moved, _)| moved == entry).map_or(0, |&(_, latency)| latency);
        Some(std::array::from_fn(|level| {
            spot.entries.get(level).filter(|_| level < usize::from(spot.count)).map_or(0, latency)
        }))
    }

    /// Issues a command at what [`Self::spot`] has looked up, if it may be at this tick, as far as the next one like it is
    /// concerned: `own` is from [`Self::own_moves`]. For all others [`Self::issue`] has to be told before they ask.
    #[inline]
    pub fn issue_own(&mut self, spot: &Spot, own: &[u32; Level::ALL.len()], tick: Tick) -> bool {
        let count = usize::from(spot.count).min(LEVELS);
        let ready = spot.entries[..count].iter().all(|&entry| self.earliest[entry as usize] <= tick);
        if ready {
            for (&entry, &latency) in spot.entries[..count].iter().zip(own) {
                if latency > 0 {
                    self.earliest[entry as usize] = tick + Tick::from(latency);
                }
            }
        }
        ready
    }

    /// Looks up [`Self::issue`]: which ticks it moves and by how much; `None` where it does more than this.
    pub fn moves(&self, command: Command, place: &Place) -> Option<Vec<(u32, u32)>> {
        let effects = &self.rules.effects[self.rules.id(command)];
        let plain = place.level == Level::Bank as u8 && effects.windows.is_empty() && effects.siblings.is_empty();
        let entry = |rule: &Rule| place.path[usize::from(rule.level)] + rule.row;
        plain.then(|| effects.own.iter().map(|rule| (entry(rule), rule.latency)).collect())
    }

    /// [`Self::issue`] of what [`Self::moves`] has looked up.
    #[inline]
    pub fn issue_moves(&mut self, moves: &[(u32, u32)], tick: Tick) {
        for &(entry, latency) in moves {
            let entry = &mut self.earliest[entry as usize];
            *entry = (*entry).max(tick + Tick::from(latency));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Address;
    use crate::dram::RuleTable;
    use crate::timing::standard::Standard;

    #[test]
    fn is_what_is_looked_up_what_is_asked() {
        let standard = Standard::named("DDR4").unwrap();
        let organisation = standard.organisation("DDR4_8Gb_x8").unwrap();
        let timing = standard.timing("DDR4_3200AA", organisation).unwrap();
        let rules = RuleTable::of_standard(standard, &organisation.organisation, &timing, standard.commands);
        let mut asked = TimingState::new(rules);
        let place = asked.rules().bank(Address { bank_group: 1, bank: 2, ..Address::default() });
        let mut looked_up = asked.clone();
        for (tick, command) in [(1, Command::Act), (40, Command::Rd), (100, Command::Pre)] {
            asked.issue(command, &place, tick);
            match looked_up.moves(command, &place) {
                Some(moves) => looked_up.issue_moves(&moves, tick),
                None => looked_up.issue(command, &place, tick),
            }
            for &command in standard.commands {
                for level in Level::ALL {
                    let spot = looked_up.spot(command, &place, level);
                    assert_eq!(
                        looked_up.ready_at_spot(&spot),
                        asked.ready_down_to(command, &place, level),
                        "{command}"
                    );
                }
            }
        }
    }
}
