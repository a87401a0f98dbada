// Package quarantine keeps house on the shelf of letters that were accepted and kept away
// from their mailboxes: what has been there for its time goes, and what there is no room
// for.
//
// # What goes when there is no room
//
// There are bounds for one account and for all together, in letters and in bytes. Spam goes
// first, the oldest before the others, then letters with bad headers, then banned ones,
// then viruses: so spam displaces none of the latter. Those, on their side, have half of
// any bound: a flood of worms does not displace the spam, in which somebody may look for a
// letter of his. Where all together are too many, the account that has the most gives
// first, and nobody's flood empties the quarantine of others.
//
// A bound never refuses a letter, nor holds one up: what is too much goes after it came,
// within seconds.
//
// # Invariants
//
// What goes, goes by the retention or the bounds that the settings state, and each is told:
// one step of the journey, which ends it, and a line in the log (INV-30). A crash leaves it
// in quarantine, where it goes after the next start, or ends it; then the step may be
// missing.
package quarantine
