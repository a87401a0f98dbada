// Package refusal reads what other mail servers say when they do not take a
// message: whose fault it is, what the cause is in plain words, and what to do.
//
// What a refusal means stands in two tables. forms has the texts that the large
// providers, the block lists and the common mail servers use, one a row; meanings has
// what each of them means, in English and French. The first row that fits counts, so
// what is particular stands above what is general. A row is found by words of the
// text, by the enhanced code (RFC 3463), or by both, and where the same words mean
// something else elsewhere, only at the hosts of one operator.
//
// # Invariants
//
// A refusal that is not understood is not explained: better no word than a wrong one.
// Nothing here decides whether a message is tried again; the reply's code alone does
// that. The work is bounded: of a text, maxText bytes are read, and each row looks
// through them at most a fixed number of times.
package refusal
