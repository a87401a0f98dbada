// Package words tells by statistics whether a letter is spam: what its words and its
// shape have been in letters that somebody judged.
//
// # Three views
//
// A letter gives three sets of tokens, which share nothing and are judged apart, so that
// none condemns it alone. Words is what a reader reads: single words, and pairs of words
// that stand near each other. Heading is what the header says: the author, the subject,
// which fields there are and what they look like, the way that it came. Shape is how the
// body is made: the MIME structure, the habits of its HTML, where links lead, names of
// files.
//
// # What is known
//
// Three things may be known of a token. The prior was trained by us, ships in the binary
// and speaks from the first letter on: a weight for each token that told spam from other
// mail wherever it came from. Layers are counts of what people here judged, first the
// server's, then the account's: in how many letters of spam and of other mail the token
// was. Counts don't depend on the order of learning, and what was learnt can be taken
// back exactly. The more a layer has learnt, the more it counts, and the more a token must
// say to be heard: where much is known, what is a little more frequent on one side is noise.
//
// A letter of which nothing is known is judged 0, and one of which little is known hardly
// more: unsure is not spam.
//
// # Invariants
//
// Tokens are hashes of 64 bits that mean the same for ever: counts are kept by them. Which
// ones a letter gives may change from version to version; of what it taught an earlier one,
// only what it still gives can be taken back. A letter gives at most MaxTokens distinct ones, of text that is looked at in bounded
// pieces: giant words, giant texts and a million different words cost and teach no more
// than a letter of ordinary length. Only the strongest tokens are added up, so that a
// long tail of innocent words does not drown what a letter says.
//
// The package has no clock, no disk and no state.
package words
