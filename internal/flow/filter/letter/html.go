package letter

import (
	"strings"

	"facteur/internal/mail/message"
)

// Bounds between what honest pages have and what they have not.
const (
	hiddenLeast = 400  // characters; a first line for the list of letters is shorter
	hiddenLot   = 2000 // characters
	fewLetters  = 60
	manySplits  = 10
	manyEscapes = 20
	manyUnknown = 10
	otherWords  = 50
)

// html looks at how the letter is made to be seen.
func (v *view) html(n *notes) {
	v.mime(n)
	c, h := v.content, &v.content.HTML
	if c.EncodedText {
		n.add(encodedText, 1, "The text is plain ASCII, hidden in base64.")
	}
	if c.Invisible >= 3 {
		n.add(invisible, 1, "There are %d characters without width between letters.", c.Invisible)
	}
	if h.Pages == 0 {
		return
	}
	v.hidden(n)
	if h.Images > 0 && h.Seen < fewLetters {
		n.add(imageOnly, v.excuse(), "The letter is a picture with %d characters of text.", h.Seen)
	}
	if h.Split >= manySplits && h.Split*20 > h.Seen {
		n.add(splitWords, 1, "%d words are split by tags.", h.Split)
	}
	if h.Escaped >= manyEscapes && h.Escaped*10 > h.Seen {
		n.add(escapedText, 1, "%d plain letters are written as numbers.", h.Escaped)
	}
	if h.Unknown >= manyUnknown && h.Unknown*4 > h.Tags {
		n.add(unknownTags, 1, "%d of %d tags are none that HTML has.", h.Unknown, h.Tags)
	}
	v.active(n)
	v.alternatives(n)
}

func (v *view) hidden(n *notes) {
	h := &v.content.HTML
	if h.Hidden < hiddenLeast || h.Hidden < h.Seen {
		return
	}
	n.add(hiddenText, v.excuse(), "%d characters are hidden and %d are seen.", h.Hidden, h.Seen)
	if h.Hidden > hiddenLot {
		n.add(hiddenMuch, v.excuse(), "%d hidden characters are a lot.", h.Hidden)
	}
}

// active looks for what a letter has no use for: mail programs do not run it.
func (v *view) active(n *notes) {
	h := &v.content.HTML
	if h.Passwords > 0 {
		n.add(passwords, 1, "The letter asks for a password.")
	}
	if h.Forms > 0 {
		n.add(forms, v.excuse(), "The letter has a form, which sends elsewhere what is typed in.")
	}
	if h.Scripts > 0 {
		n.add(scripts, v.excuse(), "The letter has scripts.")
	}
	if h.Frames > 0 {
		n.add(frames, v.excuse(), "The letter has frames or objects.")
	}
	if h.Refresh > 0 {
		n.add(refresh, 1, "The letter leads away by itself.")
	}
}

// alternatives compares the text that is shown with that for programs without HTML.
func (v *view) alternatives(n *notes) {
	if sameWords(v.content.Other, v.content.Text) {
		return
	}
	words := strings.Fields(strings.ToLower(v.content.Other))
	if len(words) < otherWords {
		return
	}
	shown := map[string]bool{}
	for w := range strings.FieldsSeq(strings.ToLower(v.content.Text)) {
		shown[w] = true
	}
	if len(shown) < otherWords/2 {
		return
	}
	both := 0
	for _, w := range words {
		if len(w) > 3 && shown[w] {
			both++
		}
	}
	if both*20 < len(words) {
		n.add(otherText, 1, "The text for programs without HTML has nothing to do with the one that is shown.")
	}
}

// sameWords tells texts that have a twentieth of their words in the same places, as those of
// honest programs do: they need not be compared any further.
func sameWords(a, b string) bool {
	others := strings.Fields(b)
	words, same := 0, 0
	for w := range strings.FieldsSeq(a) {
		if words < len(others) && len(w) > 3 && w == others[words] {
			same++
		}
		words++
	}
	return same*20 >= words
}

// mime tells what two programs would read differently.
func (v *view) mime(n *notes) {
	const grave = message.DuplicateField | message.DuplicateParam | message.BadBoundary | message.SameBoundary | message.DepthLimit | message.PartLimit | message.HeaderLimit
	switch odd := v.content.Odd; {
	case odd&grave != 0:
		n.add(ambiguousMIME, 1, "Two programs may take it for two letters: its parts are told in more than one way, or there are too many.")
	case odd&(message.BadType|message.Unterminated|message.BadEncoding) != 0:
		n.add(brokenMIME, 1, "Its parts are broken: without an end, of an unreadable type, or of an unknown encoding.")
	}
}
