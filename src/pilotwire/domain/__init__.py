"""What charging means and what to decide: pure functions over facts and state. Imports core only."""
