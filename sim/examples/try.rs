use mcrpc_sim::policy;
use mcrpc_sim::record::Span;
use mcrpc_sim::run::run;
use mcrpc_sim::world::World;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let len: f64 = args.get(1).map_or(60.0, |s| s.parse().unwrap());
    for policy in policy::all() {
        for k in [1, 2, 4] {
            print!("{:12} M^{k}", policy.name());
            for load in [0.5, 0.9, 1.0, 1.2, 2.0, 4.0] {
                let mut sum = 0.0;
                let mut p99 = 0.0;
                let mut sent = 0.0;
                let seeds = 3;
                for seed in 0..seeds {
                    let world = World { seed, ..World::steady(k, load, len) };
                    let record = run(&world, &*policy);
                    let span = Span { from_s: len / 3.0, to_s: len };
                    sum += record.optimum_share(span);
                    p99 += record.latency_ms(span, 0.99);
                    sent += record.requests_per_capacity(span);
                }
                print!("  {load}: {:.3} {:3.0} {:.2}", sum / seeds as f64, p99 / seeds as f64, sent / seeds as f64);
            }
            println!();
        }
    }
}
