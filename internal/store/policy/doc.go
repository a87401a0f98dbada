// Package policy knows what each account wants of the filter: its levels, what is to be
// done with letters of each category, and whom it allows and blocks.
//
// # Policies
//
// A Policy is for everybody, for a domain with or without those below it, or for one
// account. Those that match an account are asked in the order of their priorities, and of
// equal ones the one that is for fewer goes first. Each value comes from the first that
// says it. An empty field says nothing: it inherits, and never silently overrides what
// somebody else said. In the end stands what the server's own settings say.
//
// # Lists
//
// An Entry allows or blocks a sender, or gives him a score, for those whom its Match
// names. Of the entries that name a sender, the one of the greatest priority decides;
// of equal ones that for fewer accounts, then that for fewer senders, and of those that
// are still equal the one that allows: a lost letter is worse than a spam. Scores add up,
// one for each list.
//
// # On disk
//
// Two tables in DATA/facteur.db, policy_filter and policy_entry, with a version of their
// own. What facteur.toml declares stands beside them in memory, goes before them, and only
// the file takes it away.
//
// # Invariants
//
// Questions are answered from memory and never wait for the disk: what is known is read at
// the start. A change is on the disk before it holds. Matches and senders are kept in
// canonical form. Tables and memory are bounded, see Limits; what has expired holds no
// more, and is removed within an hour. A crash leaves a change made or not made.
package policy
