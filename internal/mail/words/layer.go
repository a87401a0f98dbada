package words

// Layer is what a server or an account has learnt, as counts.
type Layer struct {
	// Name says whose it is, for the log.
	Name string
	// Spam and Ham are how many letters were learnt as such.
	Spam, Ham uint32
	// Count tells in how many of them a token was. It is called up to MaxTokens times
	// for a letter, from one goroutine.
	Count func(token uint64) (spam, ham uint32)
}
