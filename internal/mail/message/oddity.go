package message

// oddWords says what each Oddity is, in the order of the bits.
var oddWords = [...]string{
	"a field that decides how it is read stands twice",
	"a parameter stands twice",
	"its type can't be read",
	"its boundary is missing or too long",
	"its boundary is longer than allowed",
	"it has the same boundary as what encloses it",
	"its end is missing",
	"its encoding is unknown or forbidden here",
	"nested too deep to look inside",
	"too many parts to look at all",
	"its header is too long to be read as a whole",
}

// Words says what is odd about a part, each in a few words.
func (o Oddity) Words() []string {
	var said []string
	for i, w := range oddWords {
		if o&(1<<i) != 0 {
			said = append(said, w)
		}
	}
	return said
}
