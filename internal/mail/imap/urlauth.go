package imap

// GenURLAuth is GENURLAUTH (RFC 4467 §7): URLs that say who may fetch them.
type GenURLAuth []struct{ URL, Mechanism string }

// URLFetch is URLFETCH (RFC 4467 §7) with the parameters of RFC 5524.
type URLFetch []URLWanted

// URLWanted is one URL. Without any of the parameters its octets are wanted in the
// way of RFC 4467.
type URLWanted struct {
	URL                     string
	Structure, Body, Binary bool
}

// ResetKey is RESETKEY (RFC 4467 §7): of a mailbox, or of all if there is none.
type ResetKey struct {
	Mailbox    string
	Mechanisms []string // upper-case
}

// maxURLs bounds the URLs in one command: each opens a letter.
const maxURLs = 100

// urlGrammar is the commands about URLs with rights.
func (d *Decoder) urlGrammar(name string) (read func() any, known bool) {
	switch name {
	case "GENURLAUTH":
		return d.genURLAuth, true
	case "URLFETCH":
		return d.urlFetch, true
	}
	return nil, false
}

func (d *Decoder) genURLAuth() any {
	var list GenURLAuth
	d.urls(func() {
		url := d.astring()
		d.space()
		list = append(list, struct{ URL, Mechanism string }{url, d.word()})
	})
	return list
}

func (d *Decoder) urlFetch() any {
	var list URLFetch
	d.urls(func() {
		if d.peek() != '(' {
			list = append(list, URLWanted{URL: d.astring()})
			return
		}
		list = append(list, d.urlWanted())
	})
	return list
}

// urls reads one or more, with blanks between them.
func (d *Decoder) urls(one func()) {
	one()
	for n := 1; d.peek() == ' ' && d.pos < len(d.line)-1; n++ {
		if n == maxURLs {
			d.err = &LimitError{"Too many URLs"}
			return
		}
		d.space()
		one()
	}
}

func (d *Decoder) urlWanted() URLWanted {
	d.expect('(')
	w := URLWanted{URL: d.astring()}
	for n := 0; d.accept(' ') && n < 3; n++ {
		switch d.word() {
		case "BODYPARTSTRUCTURE":
			w.Structure = true
		case "BODY":
			w.Body = true
		case "BINARY":
			w.Binary = true
		default:
			d.fail("Unknown parameter of URLFETCH")
		}
	}
	d.expect(')')
	if w.Body && w.Binary {
		d.fail("BODY and BINARY exclude each other")
	}
	return w
}

// resetKey begins before the blank: all of it may be missing.
func (d *Decoder) resetKey() any {
	var r ResetKey
	if !d.accept(' ') {
		return r
	}
	r.Mailbox = d.mailbox()
	for d.accept(' ') {
		if r.Mechanisms = append(r.Mechanisms, d.word()); len(r.Mechanisms) > maxURLs && d.err == nil {
			d.err = &LimitError{"Too many mechanisms"}
		}
	}
	return r
}
