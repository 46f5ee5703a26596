//! The program of the README.

#[path = "../../examples/quickstart.rs"]
mod quickstart;

#[test]
fn it_runs() {
    crate::env::required("WAYPOST_ADDRESS");
    quickstart::main().unwrap();
}

#[test]
fn it_is_what_the_readme_shows() {
    let (readme, program) = (include_str!("../../README.md"), include_str!("../../examples/quickstart.rs"));
    assert!(readme.contains(&format!("```rust\n{program}```\n")));
}
