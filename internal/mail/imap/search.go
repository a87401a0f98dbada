package imap

import (
	"math"
	"strings"
	"time"
)

// Search is SEARCH (RFC 9051 §6.4.4, RFC 4731, RFC 5032, RFC 5182, RFC 9394 …) and
// ESEARCH (RFC 7377).
type Search struct {
	Return SearchReturn
	// Extended is true if RETURN was there at all: the answer is then ESEARCH.
	Extended bool
	Charset  string // upper-case, "" if none was named
	Key      SearchKey
	In       []Source // where ESEARCH is to look; nil: in the selected mailbox
}

// SearchReturn is the result options.
type SearchReturn struct {
	Min, Max, All, Count bool
	Save                 bool  // for "$" (RFC 5182)
	Page                 *Page // of PARTIAL (RFC 9394)
	Relevancy            bool  // RFC 6203 §4
	Update, Context      bool  // RFC 5267 §4
}

// Page is a part of a list of results, both ends included: counted from 1 on or, if
// Back, from the last one backwards.
type Page struct {
	From, To uint32
	Back     bool
}

// String writes the range as it is in PARTIAL.
func (p Page) String() string {
	if p.Back {
		return "-" + number(p.From) + ":-" + number(p.To)
	}
	return number(p.From) + ":" + number(p.To)
}

// Cut gives the results, of n, that the page has, as a slice from:to.
func (p Page) Cut(n int) (from, to int) {
	first, last := int64(p.From)-1, int64(p.To)
	if p.Back {
		first, last = int64(n)-last, int64(n)-first
	}
	to = int(min(max(last, 0), int64(n)))
	return int(min(max(first, 0), int64(to))), to
}

// SearchOp is the kind of a SearchKey.
type SearchOp uint8

// What a message can be asked. The old names (NEW, FROM, UNSEEN …) are put in
// terms of these.
const (
	SearchAll         SearchOp = iota
	SearchAnd                  // all of Keys
	SearchOr                   // one of the two Keys
	SearchNot                  // not the one of Keys
	SearchSeq                  // in Set, of message numbers
	SearchUID                  // in Set, of UIDs
	SearchFlag                 // has the flag or keyword Text
	SearchRecent               //
	SearchBefore               // INTERNALDATE before Date
	SearchOn                   //
	SearchSince                // on Date or after
	SearchSentBefore           // the same with the Date field
	SearchSentOn               //
	SearchSentSince            //
	SearchSavedBefore          // the same with SAVEDATE (RFC 8514)
	SearchSavedOn              //
	SearchSavedSince           //
	SearchLarger               // more octets than Size
	SearchSmaller              //
	SearchOlder                // received at least Size seconds ago
	SearchYounger              // received at most Size seconds ago
	SearchModSeq               // MODSEQ of Size or more (RFC 7162 §3.1.5)
	SearchHeader               // the field Field has Text in it; "" asks if it is there
	SearchBody                 // the body has Text in it
	SearchText                 // header or body has
	SearchEmailID              // EMAILID is Text (RFC 8474)
	SearchThreadID             //
	SearchFilter               // what the filter named Text says (RFC 5466)
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
	Fuzzy bool // what is like Text counts as well (RFC 6203)
}

func (d *Decoder) search() any {
	s := Search{}
	s.Return, s.Extended = d.returnOptions()
	d.searchProgram(&s)
	return s
}

// returnOptions reads RETURN (…) and the blank behind it, if it is there.
func (d *Decoder) returnOptions() (r SearchReturn, extended bool) {
	if !d.acceptWord("RETURN") {
		return r, false
	}
	d.space()
	d.list(func() { d.returnOption(&r) })
	d.space()
	if r.Page != nil && r.All {
		d.fail("ALL and PARTIAL don't go together")
	}
	return r, true
}

// searchProgram reads charset and keys.
func (d *Decoder) searchProgram(s *Search) {
	if d.acceptWord("CHARSET") {
		d.space()
		s.Charset = strings.ToUpper(d.astring())
		d.space()
	}
	s.Key = d.searchKeys()
}

func (d *Decoder) returnOption(r *SearchReturn) {
	switch w := d.word(); w {
	case "MIN":
		r.Min = true
	case "MAX":
		r.Max = true
	case "ALL":
		r.All = true
	case "COUNT":
		r.Count = true
	case "SAVE":
		r.Save = true
	case "RELEVANCY":
		r.Relevancy = true
	case "UPDATE":
		r.Update = true
	case "CONTEXT":
		r.Context = true
	case "PARTIAL":
		if r.Page != nil {
			d.fail("One PARTIAL, please")
		}
		d.space()
		p := d.page()
		r.Page = &p
	default:
		d.fail("Unknown result option %s", clip(w))
	}
}

// page reads n:m or -n:-m (RFC 9394 §3.1).
func (d *Decoder) page() Page {
	p := Page{Back: d.accept('-')}
	p.From = d.positive()
	d.expect(':')
	if p.Back {
		d.expect('-')
	}
	if p.To = d.positive(); p.From > p.To {
		p.From, p.To = p.To, p.From
	}
	return p
}

// ParseSearchKeys reads a search program that a filter keeps (RFC 5466 §3.1), in the
// limits of a command.
func ParseSearchKeys(text string) (Search, error) {
	d := &Decoder{limits: AfterLogin(), line: []byte(text)}
	d.limits.Literals = 0
	var s Search
	if len(text) > d.limits.Line {
		return s, &LimitError{"Filter too long"}
	}
	d.searchProgram(&s)
	d.end()
	return s, d.err
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
	case c == '*' || c == '$' || c >= '0' && c <= '9':
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
	case "FUZZY":
		d.space()
		k := d.searchKey()
		k.beFuzzy()
		return k
	case "SAVEDATESUPPORTED":
		return SearchKey{Op: SearchAll}
	case "MODSEQ":
		d.space()
		return d.modSeqKey()
	}
	return d.valueKey(name)
}

// beFuzzy lets all texts below a key be met by what is like them.
func (k *SearchKey) beFuzzy() {
	k.Fuzzy = true
	for i := range k.Keys {
		k.Keys[i].beFuzzy()
	}
}

// modSeqKey reads what follows MODSEQ (RFC 7162 §3.1.5). The name and the kind of an
// entry may be given; all flags of a message share one MODSEQ here.
func (d *Decoder) modSeqKey() SearchKey {
	if d.peek() == '"' {
		d.quoted()
		d.space()
		switch w := d.word(); w {
		case "PRIV", "SHARED", "ALL":
		default:
			d.fail("Unknown kind of entry %s", clip(w))
		}
		d.space()
	}
	return SearchKey{Op: SearchModSeq, Size: d.number()}
}

// valueKey reads the keys with one argument that is no key.
func (d *Decoder) valueKey(name string) SearchKey {
	k := SearchKey{Op: valueOp(name)}
	if k.Op == SearchAll {
		d.fail("Unknown search key %s", clip(name))
	}
	d.space()
	switch k.Op {
	case SearchLarger, SearchSmaller:
		k.Size = d.number()
	case SearchOlder, SearchYounger:
		if k.Size = d.number(); k.Size == 0 || k.Size > math.MaxUint32 {
			d.fail("An interval is 1 to 4294967295 seconds")
		}
	case SearchBody, SearchText:
		k.Text = d.searchText()
	case SearchEmailID, SearchThreadID:
		k.Text = d.run("an id", isObjectIDChar)
	case SearchFilter:
		k.Text = d.run("the name of a filter", isAtomChar)
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
	case "SAVEDBEFORE":
		return SearchSavedBefore
	case "SAVEDON":
		return SearchSavedOn
	case "SAVEDSINCE":
		return SearchSavedSince
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
	case "EMAILID":
		return SearchEmailID
	case "THREADID":
		return SearchThreadID
	case "FILTER":
		return SearchFilter
	}
	return SearchAll
}

// isObjectIDChar is the characters of RFC 8474 §4.
func isObjectIDChar(c byte) bool {
	return c == '-' || c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
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
