package queue

// State is where a recipient of an item stands. Terminal states have no row.
type State uint8
