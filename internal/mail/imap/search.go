package imap

import (
	"strings"
	"time"
)

// Search is SEARCH (RFC 9051 §6.4.4, RFC 4731, RFC 5032).
type Search struct {
	// Return are the result options, upper-case; Extended is true if RETURN was
	// there at all: the answer is then ESEARCH.
	Return   []string
	Extended bool
	Charset  string // upper-case, "" if none was named
	Key      SearchKey
}

// SearchOp is the kind of a SearchKey.
type SearchOp uint8

// What a message can be asked. The old names (NEW, FROM, UNSEEN …) are put in
// terms of these.
const (
	SearchAll        SearchOp = iota
	SearchAnd                 // all of Keys
	SearchOr                  // one of the two Keys
	SearchNot                 // not the one of Keys
	SearchSeq                 // in Set, of message numbers
	SearchUID                 // in Set, of UIDs
	SearchFlag                // has the flag or keyword Text
	SearchRecent              //
	SearchBefore              // INTERNALDATE before Date
	SearchOn                  //
	SearchSince               // on Date or after
	SearchSentBefore          // the same with the Date field
	SearchSentOn              //
	SearchSentSince           //
	SearchLarger              // more octets than Size
	SearchSmaller             //
	SearchOlder               // received at least Size seconds ago
	SearchYounger             // received at most Size seconds ago
	SearchHeader              // the field Field has Text in it; "" asks if it is there
	SearchBody                // the body has Text in it
	SearchText                // header or body has
)

// SearchKey is a node of the tree of conditions.
type SearchKey struct {
	Op    SearchOp
	Keys  []SearchKey
	Set   SequenceSet
	Text  string
	Field string
	Date  time.Time // midnight UTC of the day
	Size  int64
}

func (d *Decoder) search() any {
	var s Search
	if d.acceptWord("RETURN") {
		s.Extended = true
		d.space()
		d.list(func() { s.Return = append(s.Return, d.returnOption()) })
		d.space()
	}
	if d.acceptWord("CHARSET") {
		d.space()
		s.Charset = strings.ToUpper(d.astring())
		d.space()
	}
	s.Key = d.searchKeys()
	return s
}

func (d *Decoder) returnOption() string {
	switch w := d.word(); w {
	case "MIN", "MAX", "ALL", "COUNT":
		return w
	default:
		d.fail("Unknown result option %s", clip(w))
		return ""
	}
}

// searchKeys reads keys up to the end of the line or of the parenthesis.
func (d *Decoder) searchKeys() SearchKey {
	and := SearchKey{Op: SearchAnd}
	for d.err == nil {
		and.Keys = append(and.Keys, d.searchKey())
		if c := d.peek(); c != ' ' || d.pos == len(d.line)-1 {
			break
		}
		d.space()
	}
	if len(and.Keys) == 1 {
		return and.Keys[0]
	}
	return and
}

// searchKey reads one key and counts it (ATTACKS IMAP-004).
func (d *Decoder) searchKey() SearchKey {
	d.enter()
	defer d.leave()
	if d.terms++; d.terms > d.limits.Terms && d.err == nil {
		d.err = &LimitError{"Too many search keys"}
	}
	switch c := d.peek(); {
	case c == '(':
		d.pos++
		k := d.searchKeys()
		d.expect(')')
		return k
	case c == '*' || c >= '0' && c <= '9':
		return SearchKey{Op: SearchSeq, Set: d.sequenceSet()}
	}
	return d.namedKey(d.word())
}

func (d *Decoder) namedKey(name string) SearchKey {
	if k, ok := flagKey(name); ok {
		return k
	}
	switch name {
	case "ALL":
		return SearchKey{Op: SearchAll}
	case "NOT":
		d.space()
		return not(d.searchKey())
	case "OR":
		d.space()
		a := d.searchKey()
		d.space()
		return SearchKey{Op: SearchOr, Keys: []SearchKey{a, d.searchKey()}}
	case "UID":
		d.space()
		return SearchKey{Op: SearchUID, Set: d.sequenceSet()}
	case "KEYWORD", "UNKEYWORD":
		d.space()
		k := SearchKey{Op: SearchFlag, Text: d.flag()}
		if name == "UNKEYWORD" {
			return not(k)
		}
		return k
	case "HEADER":
		d.space()
		field := d.searchText()
		d.space()
		return SearchKey{Op: SearchHeader, Field: field, Text: d.searchText()}
	case "FROM", "TO", "CC", "BCC", "SUBJECT":
		d.space()
		return SearchKey{Op: SearchHeader, Field: name, Text: d.searchText()}
	}
	return d.valueKey(name)
}

// valueKey reads the keys with one argument that is no key.
func (d *Decoder) valueKey(name string) SearchKey {
	k := SearchKey{Op: valueOp(name)}
	if k.Op == SearchAll {
		d.fail("Unknown search key %s", clip(name))
	}
	d.space()
	switch k.Op {
	case SearchLarger, SearchSmaller, SearchOlder, SearchYounger:
		k.Size = d.number()
	case SearchBody, SearchText:
		k.Text = d.searchText()
	default:
		k.Date = d.date()
	}
	return k
}

// valueOp is SearchAll for a name that is none of these keys.
func valueOp(name string) SearchOp {
	switch name {
	case "BEFORE":
		return SearchBefore
	case "ON":
		return SearchOn
	case "SINCE":
		return SearchSince
	case "SENTBEFORE":
		return SearchSentBefore
	case "SENTON":
		return SearchSentOn
	case "SENTSINCE":
		return SearchSentSince
	case "LARGER":
		return SearchLarger
	case "SMALLER":
		return SearchSmaller
	case "OLDER":
		return SearchOlder
	case "YOUNGER":
		return SearchYounger
	case "BODY":
		return SearchBody
	case "TEXT":
		return SearchText
	}
	return SearchAll
}

// maxSearchText is the longest text that is looked for, in octets: each message
// is compared with it.
const maxSearchText = 4 << 10

func (d *Decoder) searchText() string {
	text := d.astring()
	if len(text) > maxSearchText && d.err == nil {
		d.err = &LimitError{"Search text too long"}
	}
	return text
}

// flagKey is the keys that ask for a flag by name.
func flagKey(name string) (SearchKey, bool) {
	unseen := not(SearchKey{Op: SearchFlag, Text: `\Seen`})
	recent := SearchKey{Op: SearchRecent}
	switch name {
	case "RECENT":
		return recent, true
	case "OLD":
		return not(recent), true
	case "NEW":
		return SearchKey{Op: SearchAnd, Keys: []SearchKey{recent, unseen}}, true
	}
	for _, f := range SystemFlags() {
		k := SearchKey{Op: SearchFlag, Text: f}
		switch upper := strings.ToUpper(f[1:]); name {
		case upper:
			return k, true
		case "UN" + upper:
			return not(k), true
		}
	}
	return SearchKey{}, false
}

func not(k SearchKey) SearchKey { return SearchKey{Op: SearchNot, Keys: []SearchKey{k}} }
