package words

// Opinion is what one view of a letter says.
type Opinion struct {
	// Odds is the logarithm of the odds that it is spam: 0 is unsure, negative speaks
	// for the letter.
	Odds float64
	// Known is how many of its tokens anything was known of.
	Known int
	// Words are those that spoke most, the strongest first.
	Words []Word
}

// Word is a token and what it added.
type Word struct {
	// Text is the token in lower case: a stranger's text, to be encoded for wherever it
	// goes.
	Text string
	// Weight is what it added to the odds; positive speaks for spam.
	Weight float64
}
