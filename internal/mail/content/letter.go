package content

import (
	"io"

	"facteur/internal/mail/archive"
	"facteur/internal/mail/message"
)

// Limits bound what Read spends on a letter. Zero means the default, never unlimited.
type Limits struct {
	// Text is the length of Letter.Text, Other and Hidden each, in bytes: default 256 KiB.
	Text int
	// Source is how much decoded text is read for them in all, in bytes: default 2 MiB.
	Source int64
	// Parts, Links and Files (of the letter itself) are how many are told: default 1,000 each.
	Parts, Links, Files int
	// File is how large a file may be to be looked into, in bytes: default 16 MiB.
	File int64
	// Archive bounds what is spent on all files.
	Archive archive.Limits
}

func (l Limits) filled() Limits {
	for _, d := range []struct {
		n *int
		v int
	}{{&l.Text, 256 << 10}, {&l.Parts, 1000}, {&l.Links, 1000}, {&l.Files, 1000}} {
		if *d.n <= 0 {
			*d.n = d.v
		}
	}
	if l.Source <= 0 {
		l.Source = 2 << 20
	}
	if l.File <= 0 {
		l.File = 16 << 20
	}
	return l
}

// Letter is what there is to see.
type Letter struct {
	// Subject is decoded.
	Subject string `json:"subject,omitempty"`
	// Text is what an eye sees, one line for each block.
	Text string `json:"text,omitempty"`
	// Other is the text of alternatives that most programs do not show.
	Other string `json:"other,omitempty"`
	// Hidden is the text that an eye does not see.
	Hidden string `json:"hidden,omitempty"`
	// Links of all texts, each target once for each text that it is shown with.
	Links []Link `json:"links,omitempty"`
	// Files are the attachments, and what else is no text.
	Files []File `json:"files,omitempty"`
	// HTML is what was counted in the HTML that is shown; Pages in web pages that are
	// attached.
	HTML  HTML `json:"html"`
	Pages HTML `json:"pages"`
	// Languages that the text is probably written in, the likeliest first.
	Languages []Language `json:"languages,omitempty"`
	// Charsets are the names that text parts and the subject give for theirs.
	Charsets []string `json:"charsets,omitempty"`
	// Parts is how many parts there are.
	Parts int `json:"parts"`
	// EncodedText: text in base64 that would not have needed it (it is ASCII).
	EncodedText bool `json:"encoded_text,omitempty"`
	// Invisible is how many characters without width part letters in the texts, and
	// SubjectInvisible in the subject.
	Invisible        int `json:"invisible,omitempty"`
	SubjectInvisible int `json:"subject_invisible,omitempty"`
	// Odd is the union of what was ambiguous in the parts.
	Odd message.Oddity `json:"odd,omitempty"`
	// LeftOut is how many parts, links and files there are beyond the limits.
	LeftOut int `json:"left_out,omitempty"`
	// Cut: there is more text than was read.
	Cut bool `json:"cut,omitempty"`
}

// File is a file that comes with the letter.
type File struct {
	archive.File
	// Part is the number of the part as IMAP counts ("1.2"); "" if it only appears in
	// another reading of the letter.
	Part string `json:"part,omitempty"`
	// Inline: the letter wants it shown in place, as pictures of a page are.
	Inline bool `json:"inline,omitempty"`
	// Elsewhere: it only appears in another reading of the letter.
	Elsewhere bool `json:"elsewhere,omitempty"`
}

// HTML is what pages are made of.
type HTML struct {
	// Pages, and their length in bytes, without CR.
	Pages int `json:"pages,omitempty"`
	Bytes int `json:"bytes,omitempty"`
	// Seen and Hidden are characters that an eye sees and does not see.
	Seen   int `json:"seen,omitempty"`
	Hidden int `json:"hidden,omitempty"`
	// Tags in all, and those that no HTML has.
	Tags    int `json:"tags,omitempty"`
	Unknown int `json:"unknown,omitempty"`
	// Images in all; Remote are fetched when the letter is opened, and of these Tiny are
	// too small to be seen.
	Images int `json:"images,omitempty"`
	Remote int `json:"remote,omitempty"`
	Tiny   int `json:"tiny,omitempty"`
	// Forms, and fields in them that ask for a password.
	Forms     int `json:"forms,omitempty"`
	Passwords int `json:"passwords,omitempty"`
	// Scripts and attributes that run some; frames and objects; pages that lead away by
	// themselves.
	Scripts int `json:"scripts,omitempty"`
	Frames  int `json:"frames,omitempty"`
	Refresh int `json:"refresh,omitempty"`
	// Split is how often a tag or comment that shows nothing stands within a word, and
	// Escaped how many plain letters are written as numbers.
	Split   int `json:"split,omitempty"`
	Escaped int `json:"escaped,omitempty"`
}

// Read looks at the letter r, of which root is what message.Parse made; h is its header.
func Read(r io.ReaderAt, root *message.Part, h message.Header, lim Limits) *Letter {
	rd := reader{r: r, lim: lim.filled(), letter: &Letter{}, known: map[string]int{}}
	rd.files = archive.NewBudget(rd.lim.Archive)
	rd.subject(h)
	rd.tree(root)
	rd.otherwise(root)
	rd.finish()
	return rd.letter
}
