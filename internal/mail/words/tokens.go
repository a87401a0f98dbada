package words

// Bounds of what one letter may teach and cost.
const (
	// MaxTokens is how many distinct tokens a letter has at most, all views together.
	MaxTokens  = 4096
	maxHeading = 384
	maxShape   = 512
	maxWords   = MaxTokens - maxHeading - maxShape
)

// Tokens are what a letter is judged by and what it teaches.
type Tokens struct {
	Words   View // what it says
	Heading View // what its header says: who wrote it, to whom, on which way, its subject
	Shape   View // how its body is made
}

// Views are all views of a letter.
func (t *Tokens) Views() []*View { return []*View{&t.Words, &t.Heading, &t.Shape} }

// View is a set of tokens: distinct, in the order in which they were found.
type View struct {
	tokens []token
	texts  []string // what tokens refer to
}

// token is a hash and, to show it, what it was made of.
type token struct {
	hash uint64
	// first and second are indices in texts; second is only of pairs.
	first, second int32
	kind          kind
}

// kind is where a token comes from: a record of one kind says more than of another.
type kind uint8

const (
	single  kind = iota // a word
	pair                // two words near each other
	subject             // a word of the subject
	general             // of the shape, and means the same everywhere
	author              // who wrote it
	link                // where links lead
	path                // which hosts it came by
	other               // of the shape, and means something here only
	place               // of what the addresses of pages are made
	kinds
)

// local tells the kinds that name somebody or something, and mean nothing elsewhere:
// layers may know them, the prior never does.
func (k kind) local() bool { return k > general }

// Len is the number of tokens.
func (v *View) Len() int { return len(v.tokens) }

// Hashes are the distinct tokens of all views, at most MaxTokens: what a letter teaches.
func (t *Tokens) Hashes() []uint64 {
	all := make([]uint64, 0, len(t.Words.tokens)+len(t.Heading.tokens)+len(t.Shape.tokens))
	for _, v := range t.Views() {
		for i := range v.tokens {
			all = append(all, v.tokens[i].hash)
		}
	}
	return all
}

// text is how a token is shown.
func (v *View) text(t token) string {
	switch t.kind {
	case pair:
		return v.texts[t.first] + " " + v.texts[t.second]
	}
	return v.texts[t.first]
}
