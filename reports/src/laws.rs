//! The laws that meters and memories can be held to. Law 1 is checked in [`critical_path`](crate::critical_path).

use sim_core::time::PS_PER_SECOND;
use sim_core::{Meter, Time};

use crate::analyse::Memory;
use crate::error::ReportError;

/// Law 4: in `elapsed` no resource moves more than its peak allows, and one burst or packet (`granule`, in the unit of
/// the meter) that was in flight at the edge of the window.
pub fn check_meters(system: &str, meters: &[(String, Meter)], elapsed: Time, granule: u64) -> Result<(), ReportError> {
    for (name, meter) in meters {
        // In units of 1e-12 of a byte or operation: exact, and far from the end of 128 bits.
        let moved = u128::from(meter.amount) * u128::from(PS_PER_SECOND);
        let allowed =
            u128::from(meter.peak.0) * u128::from(elapsed.ps()) + u128::from(granule) * u128::from(PS_PER_SECOND);
        let broken = |what| ReportError::LawBroken {
            law: 4,
            system: system.to_owned(),
            actor: name.clone(),
            subject: "its meter".to_owned(),
            at: elapsed,
            what,
        };
        if moved > allowed {
            return Err(broken(format!(
                "it moved {} in {elapsed}, but its peak of {} per second and one granule of {granule} allow {}",
                meter.amount,
                meter.peak.0,
                allowed / u128::from(PS_PER_SECOND)
            )));
        }
        if meter.busy > elapsed {
            return Err(broken(format!("it was busy for {} in {elapsed}", meter.busy)));
        }
    }
    Ok(())
}

/// Law 5: no memory holds more than its capacity.
pub fn check_memory(system: &str, memory: &Memory) -> Result<(), ReportError> {
    for (name, memory) in memory.iter() {
        if memory.used > memory.capacity {
            return Err(ReportError::LawBroken {
                law: 5,
                system: system.to_owned(),
                actor: name.to_owned(),
                subject: "its memory".to_owned(),
                at: Time::ZERO,
                what: format!("{} bytes are in use, {} is all there is", memory.used.0, memory.capacity.0),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::Use;
    use sim_core::{Bytes, Rate};

    fn meter(amount: u64) -> Vec<(String, Meter)> {
        let peak = Rate(1_000_000_000_000);
        let busy = Time::from_ps(10);
        vec![("link".to_owned(), Meter { amount, peak, busy })]
    }

    #[test]
    fn may_a_resource_reach_its_peak_and_one_granule() {
        assert!(check_meters("s", &meter(100 + 64), Time::from_ps(100), 64).is_ok());
    }

    #[test]
    fn is_a_byte_above_the_peak_noticed() {
        let error = check_meters("s", &meter(100 + 65), Time::from_ps(100), 64).unwrap_err();
        assert!(matches!(error, ReportError::LawBroken { law: 4, .. }), "{error}");
    }

    #[test]
    fn is_a_resource_busier_than_time_noticed() {
        let error = check_meters("s", &meter(1), Time::from_ps(9), 64).unwrap_err();
        assert!(matches!(error, ReportError::LawBroken { law: 4, .. }), "{error}");
    }

    fn memory(used: u64) -> Memory {
        let capacity = Bytes(64);
        let used = Bytes(used);
        Memory { pim: Some(Use { used, capacity }), ..Memory::default() }
    }

    #[test]
    fn may_a_memory_be_full() {
        assert!(check_memory("s", &memory(64)).is_ok());
    }

    #[test]
    fn is_a_memory_with_a_byte_too_many_noticed() {
        let error = check_memory("s", &memory(65)).unwrap_err();
        assert!(matches!(error, ReportError::LawBroken { law: 5, .. }), "{error}");
    }
}
