package anatomy

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"facteur/internal/mail/archive"
	"facteur/internal/mail/message"
)

// Part is one node of the MIME tree.
type Part struct {
	// Number is the part's as IMAP counts ("1.2"); "" for the root of a multipart.
	Number string `json:"number,omitempty"`
	// Depth is how deep it is nested; the root has 0.
	Depth int `json:"depth"`
	// Type is "text/plain"; Charset and Encoding are as the letter says.
	Type     string `json:"type"`
	Charset  string `json:"charset,omitempty"`
	Encoding string `json:"encoding,omitempty"`
	// Bytes is the size as it travels, Decoded that of the content.
	Bytes   int64 `json:"bytes"`
	Decoded int64 `json:"decoded,omitempty"`
	// Name is the file's name, fit for a file system; Given is what the sender wrote
	// where that is another.
	Name  string `json:"name,omitempty"`
	Given string `json:"given,omitempty"`
	// Attachment: the letter wants it shown as a file.
	Attachment bool `json:"attachment,omitempty"`
	// Kind is what its first bytes are.
	Kind string `json:"kind,omitempty"`
	// Entries are the files in it, if it is a ZIP; More is how many are not told.
	Entries []Entry `json:"entries,omitempty"`
	More    int     `json:"more,omitempty"`
	// Odd is what two programs may read differently here.
	Odd []string `json:"odd,omitempty"`
}

// walker goes through the tree once and fills the letter.
type walker struct {
	letter  *Letter
	r       io.ReaderAt
	options Options
	nested  int
}

// tree walks over all parts, without recursion: depth is the sender's choice.
func (w *walker) tree(root *message.Part) error {
	type node struct {
		part   *message.Part
		number string
		depth  int
	}
	stack := []node{{root, "", 0}}
	if !root.Multipart() {
		stack[0].number = "1"
	}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if len(w.letter.Parts) == maxParts {
			w.letter.LeftOut++
			continue
		}
		if err := w.part(n.part, n.number, n.depth); err != nil {
			return err
		}
		for i := len(n.part.Children) - 1; i >= 0; i-- {
			stack = append(stack, node{n.part.Children[i], childNumber(n.part, n.number, i), n.depth + 1})
		}
	}
	return w.notice(root)
}

func childNumber(parent *message.Part, number string, i int) string {
	switch {
	case parent.Message() && parent.Children[i].Multipart():
		return number
	case number == "":
		return strconv.Itoa(i + 1)
	}
	return number + "." + strconv.Itoa(i+1)
}

// part describes one.
func (w *walker) part(p *message.Part, number string, depth int) error {
	part := Part{Number: number, Depth: depth, Type: text(p.Type + "/" + p.Subtype), Bytes: p.End - p.Body, Odd: p.Odd.Words()}
	if p.Multipart() || p.Message() {
		w.letter.Parts = append(w.letter.Parts, part)
		return nil
	}
	part.Charset, part.Encoding = text(p.Param("charset")), text(p.Encoding)
	if given := p.FileName(); given != "" {
		part.Name = message.SafeFileName(given)
		if part.Name != given {
			part.Given = text(given)
		}
	}
	part.Attachment = p.Disposition == "attachment" || part.Name != "" && p.Type != "text" || p.Type == "application"
	err := w.content(p, &part)
	w.letter.Parts = append(w.letter.Parts, part)
	w.suspect(part)
	return err
}

// content reads the part to its end: its kind, its size, its links.
func (w *walker) content(p *message.Part, part *Part) error {
	body := p.Decoded(w.r)
	head := within(body, headBytes)
	part.Kind = kindOf(head)
	part.Decoded = int64(len(head))
	if part.Kind == "ZIP" {
		head = append(head, within(body, archiveBytes-headBytes)...)
		part.Entries, part.More = zipEntries(head)
		part.Decoded = int64(len(head))
	}
	rest, err := io.Copy(io.Discard, body)
	part.Decoded += rest
	if p.Type == "text" && !part.Attachment || part.Kind == "HTML" {
		w.links(p, part)
	}
	return err
}

// suspect warns of what runs.
func (w *walker) suspect(p Part) {
	what := "part " + p.Number
	if p.Name != "" {
		what = strconv.Quote(p.Name)
	}
	switch {
	case strings.HasSuffix(p.Kind, "program"), p.Kind == "script", p.Kind == "Windows shortcut", strings.HasSuffix(p.Kind, "(runs code)"):
		w.letter.warning(what + " is a program by its first bytes: " + p.Kind)
	case archive.TwoFaced(p.Name):
		w.letter.warning(what + " looks like a document by its name, and would be run")
	case runs(p.Name):
		w.letter.warning(what + " would be run when opened")
	case p.Kind == "HTML" && p.Attachment:
		w.letter.warning(what + " is a web page: opened, it can ask for passwords where no filter sees it")
	}
	for _, e := range p.Entries {
		switch {
		case e.Runs:
			w.letter.warning(fmt.Sprintf("in the archive %s is %q, which would be run when opened", what, e.Name))
		case e.Locked:
			w.letter.warning("the archive " + what + " is locked with a password: no filter has seen what is in it")
		default:
			continue
		}
		return
	}
	if strings.ContainsAny(p.Given, "\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069") {
		w.letter.warning(what + ": its name was written with characters that turn the direction of reading, so that its end looks like another")
	}
}
