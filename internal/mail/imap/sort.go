package imap

import "strings"

// Sort is SORT (RFC 5256 §3, RFC 5267 §3, RFC 5957).
type Sort struct {
	Search
	By []SortKey
}

// SortKey is one of the things to sort by.
type SortKey struct {
	Field   SortField
	Reverse bool
}

// SortField is what of a message is compared.
type SortField uint8

// The fields of RFC 5256, of RFC 5957 and of RFC 6203.
const (
	SortArrival SortField = iota + 1
	SortCc
	SortDate
	SortFrom
	SortSize
	SortSubject
	SortTo
	SortDisplayFrom
	SortDisplayTo
	SortRelevancy
)

// Thread is THREAD (RFC 5256 §3).
type Thread struct {
	Search
	Algorithm string // ORDEREDSUBJECT, REFERENCES or REFS
}

// CancelUpdate is the tags of CANCELUPDATE (RFC 5267 §4.3.5).
type CancelUpdate []string

// searchGrammar is the commands that look for letters.
func (d *Decoder) searchGrammar(name string) (read func() any, known bool) {
	switch name {
	case "SEARCH", "UID SEARCH":
		return d.search, true
	case "ESEARCH":
		return d.esearch, true
	case "SORT", "UID SORT":
		return d.sort, true
	case "THREAD", "UID THREAD":
		return d.thread, true
	case "CANCELUPDATE":
		return d.cancelUpdate, true
	}
	return nil, false
}

// maxSortKeys bounds what is compared: each field in each direction is enough.
const maxSortKeys = 20

func (d *Decoder) sort() any {
	var s Sort
	s.Return, s.Extended = d.returnOptions()
	d.list(func() { s.By = append(s.By, d.sortKey()) })
	switch {
	case len(s.By) == 0:
		d.fail("Sort by what?")
	case len(s.By) > maxSortKeys && d.err == nil:
		d.err = &LimitError{"Too many sort keys"}
	}
	d.charsetAndKeys(&s.Search)
	return s
}

// charsetAndKeys is how SORT and THREAD go on: here the charset must be named.
func (d *Decoder) charsetAndKeys(s *Search) {
	d.space()
	s.Charset = strings.ToUpper(d.astring())
	d.space()
	s.Key = d.searchKeys()
}

func (d *Decoder) sortKey() SortKey {
	var k SortKey
	w := d.word()
	if k.Reverse = w == "REVERSE"; k.Reverse {
		d.space()
		w = d.word()
	}
	if k.Field = sortField(w); k.Field == 0 {
		d.fail("Unknown sort key %s", clip(w))
	}
	return k
}

func sortField(name string) SortField {
	switch name {
	case "ARRIVAL":
		return SortArrival
	case "CC":
		return SortCc
	case "DATE":
		return SortDate
	case "FROM":
		return SortFrom
	case "SIZE":
		return SortSize
	case "SUBJECT":
		return SortSubject
	case "TO":
		return SortTo
	case "DISPLAYFROM":
		return SortDisplayFrom
	case "DISPLAYTO":
		return SortDisplayTo
	case "RELEVANCY":
		return SortRelevancy
	}
	return 0
}

func (d *Decoder) thread() any {
	t := Thread{Algorithm: d.word()}
	switch t.Algorithm {
	case "ORDEREDSUBJECT", "REFERENCES", "REFS":
	default:
		d.fail("Unknown thread algorithm %s", clip(t.Algorithm))
	}
	d.charsetAndKeys(&t.Search)
	return t
}

// maxTags is how many tags CANCELUPDATE takes.
const maxTags = 100

func (d *Decoder) cancelUpdate() any {
	tags := CancelUpdate{d.quoted()}
	for d.accept(' ') {
		if tags = append(tags, d.quoted()); len(tags) > maxTags {
			d.fail("Too many tags")
		}
	}
	return tags
}
