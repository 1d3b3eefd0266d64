//! From a run that fails to a smaller one that fails in the same way.

use crate::plan::{Fault, Plan};
use crate::world::{Outcome, run};

/// What a failing plan came down to.
#[derive(Clone, Debug)]
pub struct Minimal {
    pub plan: Plan,
    /// The smaller run, with the text of its trace.
    pub outcome: Outcome,
    /// Runs that it took.
    pub runs: u32,
}

/// Takes out of a plan that fails whatever is not needed for the same check to fail. Every plan's dice are its own, so
/// what is taken out leaves the chance of the rest as it was.
pub fn minimise(plan: &Plan, failed: &Outcome, runs_max: u32) -> Minimal {
    let Some(check) = failed.violation.as_ref().map(|violation| violation.check) else {
        return Minimal { plan: plan.clone(), outcome: run(plan, true), runs: 1 };
    };
    let fails = |plan: &Plan| run(plan, false).violation.is_some_and(|violation| violation.check == check);
    let (plan, runs) = minimise_by(plan, runs_max, fails);
    Minimal { outcome: run(&plan, true), plan, runs }
}

/// The same for anything that may be wrong with a plan; also says how often it asked.
pub fn minimise_by(plan: &Plan, runs_max: u32, fails: impl Fn(&Plan) -> bool) -> (Plan, u32) {
    let mut runs = 0;
    let mut best = plan.clone();
    loop {
        let before = runs;
        let mut changed = false;
        for smaller in smaller_ones(&best) {
            if runs == runs_max {
                break;
            }
            runs += 1;
            if fails(&smaller) {
                best = smaller;
                changed = true;
                break;
            }
        }
        if !changed || runs == runs_max || runs == before {
            return (best, runs);
        }
    }
}

/// Plans with less in them, the boldest first.
fn smaller_ones(plan: &Plan) -> Vec<Plan> {
    let mut plans = Vec::new();
    let mut with = |change: &dyn Fn(&mut Plan)| {
        let mut smaller = plan.clone();
        change(&mut smaller);
        plans.push(smaller);
    };
    for part in [4, 2] {
        let requests = plan.requests / part;
        if requests < plan.requests {
            with(&|smaller| smaller.requests = requests);
        }
        let troubles = plan.troubles / part;
        if troubles < plan.troubles {
            with(&|smaller| smaller.troubles = troubles);
        }
    }
    for clients in 1..plan.clients {
        with(&|smaller| smaller.clients = clients);
    }
    for fault in Fault::ALL.iter().filter(|fault| plan.faults.has(**fault)) {
        with(&|smaller| smaller.set_faults(smaller.faults.without(*fault)));
    }
    if plan.requests > 1 {
        with(&|smaller| smaller.requests -= smaller.requests.div_ceil(10));
        with(&|smaller| smaller.requests -= 1);
    }
    if plan.troubles > 0 {
        with(&|smaller| smaller.troubles -= 1);
    }
    plans
}
