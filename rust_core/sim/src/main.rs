//! Runs scenarios and prints what came of them: a line per contender, or JSON.
use std::process::ExitCode;

use waypost_sim::{
    Report,
    contender::Guards,
    run,
    scenario::{Row, SCENARIOS},
};

const HELP: &str = "\
Replica choice in a small world, under all policies.

usage: waypost-sim [--json] [--seeds N] [--policy NAME] [--bare] [SCENARIO...]

  --json     reports as JSON, one list
  --seeds N  so many runs of each, from seed 1 on (default 3)
  --policy NAME  only contenders whose name begins so
  --bare     without breaker, retries and in-flight limits: the policies alone

Scenarios (default all):";

struct Asked {
    json: bool,
    bare: bool,
    seeds: u64,
    policy: String,
    scenarios: Vec<String>,
}

fn main() -> ExitCode {
    match asked().and_then(play) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("waypost-sim: {error}");
            ExitCode::FAILURE
        }
    }
}

fn asked() -> Result<Asked, lexopt::Error> {
    use lexopt::prelude::*;
    let mut asked = Asked { json: false, bare: false, seeds: 3, policy: String::new(), scenarios: vec![] };
    let mut words = lexopt::Parser::from_env();
    while let Some(word) = words.next()? {
        match word {
            Long("json") => asked.json = true,
            Long("bare") => asked.bare = true,
            Long("seeds") => asked.seeds = words.value()?.parse()?,
            Long("policy") => asked.policy = words.value()?.string()?,
            Value(name) => asked.scenarios.push(name.string()?),
            Long("help") | Short('h') => {
                println!("{HELP} {}", SCENARIOS.map(|row| row.name).join(", "));
                std::process::exit(0);
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(asked)
}

fn play(asked: Asked) -> Result<(), lexopt::Error> {
    let reports = asked.reports();
    if asked.json {
        println!("{}", serde_json::to_string(&reports).map_err(|error| error.to_string())?);
    } else {
        reports.iter().for_each(show);
    }
    Ok(())
}

impl Asked {
    fn reports(&self) -> Vec<Report> {
        let guards = if self.bare { Guards::none() } else { Guards::production() };
        let wanted = |row: &&Row| self.scenarios.is_empty() || self.scenarios.iter().any(|name| name == row.name);
        SCENARIOS.iter().filter(wanted).flat_map(|row| self.of(row, guards)).collect()
    }

    fn of(&self, row: &Row, guards: Guards) -> Vec<Report> {
        let scenario = (row.scenario)();
        let mut contenders = (row.contenders)(guards);
        contenders.retain(|contender| contender.name.starts_with(&self.policy));
        contenders.iter().flat_map(|contender| (1..=self.seeds).map(|seed| run(&scenario, contender, seed))).collect()
    }
}

fn show(report: &Report) {
    let shares: Vec<String> = report.shares.iter().take(8).map(|share| format!("{:.1}", share * 100.0)).collect();
    println!(
        "{:10} {:28} p50 {:5.0} p95 {:5.0} p99 {:6.0} p99.9 {:6.0} ms  errors {:7.3} % (refused {:.2}) prompt {:.1} attempts {:.3} shares {}",
        report.scenario,
        report.contender,
        report.p50_ms,
        report.p95_ms,
        report.p99_ms,
        report.p999_ms,
        report.errors * 100.0,
        report.refused * 100.0,
        report.prompt * 100.0,
        report.attempts,
        shares.join(" "),
    );
}
