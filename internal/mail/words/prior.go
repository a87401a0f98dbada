package words

// Prior is what is known of tokens before anybody has learnt anything. The zero Prior
// knows nothing. It may be shared.
type Prior struct{}

// Judge says what a view of a letter says, by the prior and by what was learnt: the
// server's layer first, then the account's. Either may be missing.
func Judge(v *View, prior *Prior, layers ...Layer) Opinion { return Opinion{} }
