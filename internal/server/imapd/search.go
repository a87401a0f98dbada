package imapd

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"facteur/internal/mail/imap"
	"facteur/internal/mail/message"
	"facteur/internal/store/mailbox"
)

// searchCommand is the commands that look for letters.
func (s *session) searchCommand(name string) (handler, when) {
	switch name {
	case "SEARCH", "UID SEARCH":
		return s.search, selected
	case "SORT", "UID SORT":
		return s.sort, selected
	case "THREAD", "UID THREAD":
		return s.thread, selected
	case "ESEARCH":
		return s.multiSearch, afterLogin
	case "CANCELUPDATE":
		return s.cancelUpdate, selected
	}
	return nil, 0
}

var searchCapabilities = []string{"ESEARCH", "SEARCHRES", "WITHIN", "CONTEXT=SEARCH", "CONTEXT=SORT", "ESORT", "SORT", "SORT=DISPLAY",
	"THREAD=ORDEREDSUBJECT", "THREAD=REFERENCES", "THREAD=REFS", "MULTISEARCH", "SEARCH=FUZZY", "FILTERS", "I18NLEVEL=1", "INPROGRESS"}

// search is SEARCH and UID SEARCH.
func (s *session) search(ctx context.Context, c imap.Command) (string, error) {
	a := c.Args.(imap.Search)
	if a.Charset != "" && s.enabled(UTF8) {
		return "", &imap.SyntaxError{Text: "No CHARSET after ENABLE UTF8=ACCEPT"} // RFC 9755 §3
	}
	a.Extended = a.Extended || s.enabled(IMAP4REV2) // RFC 9051 §6.4.4
	f, err := s.find(ctx, c, a, nil)
	if err != nil {
		return "", s.notSaved(a, err)
	}
	s.save(a, f)
	if a.Extended || s.enabled(IMAP4REV2) { // RFC 9051 §6.4.4
		s.sayExtended(c, a.Return, f)
	} else {
		s.sayHits("SEARCH", f)
	}
	s.update(c, a, nil, f)
	return "SEARCH completed", nil
}

// find runs a search of the selected mailbox; then, which may be nil, goes on with the
// hits.
func (s *session) find(ctx context.Context, c imap.Command, a imap.Search, then func(*query, []uint32) ([]uint32, error)) (*found, error) {
	key, err := s.readable(ctx, a)
	if err != nil {
		return nil, err
	}
	q := s.query(c.Tag, s.view, key)
	var more func([]uint32) ([]uint32, error)
	if then != nil {
		more = func(seqs []uint32) ([]uint32, error) { return then(q, seqs) }
	}
	seqs, err := s.look(ctx, q, more)
	if err != nil {
		return nil, err
	}
	f := &found{view: s.view, seqs: seqs, byUID: byUID(c.Name), scores: q.scores, key: key}
	f.modSeqs = asksModSeq(key)
	if f.modSeqs {
		s.switchOn(CONDSTORE) // RFC 7162 §3.1
	}
	return f, nil
}

// asksModSeq: the answer tells the highest MODSEQ if the key asks for one.
func asksModSeq(k *imap.SearchKey) bool {
	for i := range k.Keys {
		if asksModSeq(&k.Keys[i]) {
			return true
		}
	}
	return k.Op == imap.SearchModSeq
}

// readable puts the texts of a search in UTF-8, and what filters say in their place.
func (s *session) readable(ctx context.Context, a imap.Search) (*imap.SearchKey, error) {
	key := a.Key
	if err := toUTF8(&key, a.Charset); err != nil {
		return nil, err
	}
	left := maxFilters
	if err := s.putFilters(ctx, &key, &left); err != nil {
		return nil, err
	}
	if s.enabled(UIDONLY) && namesNumbers(&key) {
		return nil, errUIDRequired
	}
	if a.Return.Relevancy && !anyFuzzy(&key) {
		return nil, &imap.SyntaxError{Text: "RELEVANCY without FUZZY"}
	}
	return &key, nil
}

func anyFuzzy(k *imap.SearchKey) bool {
	for i := range k.Keys {
		if anyFuzzy(&k.Keys[i]) {
			return true
		}
	}
	return k.Fuzzy
}

// errCharset names what every client can write.
const errCharset = refusal("[BADCHARSET (US-ASCII UTF-8 ISO-8859-1 ISO-8859-15 WINDOWS-1252 KOI8-R ISO-2022-JP SHIFT_JIS GB18030 BIG5 EUC-KR)] Unknown charset")

// toUTF8 converts the texts of a key.
func toUTF8(k *imap.SearchKey, charset string) error {
	if !message.KnowsCharset(charset) {
		return errCharset
	}
	if k.Text != "" && !message.IsUTF8(charset) {
		text, err := io.ReadAll(message.ToUTF8(charset, strings.NewReader(k.Text)))
		if err != nil {
			return err
		}
		k.Text = string(text)
	}
	if !utf8.ValidString(k.Text) {
		return &imap.SyntaxError{Text: "Search text is not UTF-8"}
	}
	for i := range k.Keys {
		if err := toUTF8(&k.Keys[i], charset); err != nil {
			return err
		}
	}
	return nil
}

// query is a search of a mailbox on behalf of the session.
func (s *session) query(tag string, v *mailbox.View, key *imap.SearchKey) *query {
	q := newQuery(v, key, s.saved)
	q.pause = s.progress(tag)
	return q
}

// save keeps what was found for "$", if that was asked for (RFC 5182 §2.1, §2.4). Of
// MIN, MAX and PARTIAL without ALL and COUNT, only what they told is kept.
func (s *session) save(a imap.Search, f *found) {
	r := a.Return
	if !r.Save {
		return
	}
	if seqs := f.seqs; r.All || r.Count || !r.Min && !r.Max && r.Page == nil {
		s.saved = uidRanges(f.view, seqs)
		return
	}
	s.saved = uidRanges(f.view, f.told(r))
}

// notSaved empties "$" where a search that was to fill it fails (RFC 5182 §2.1): with
// NO; one that makes no sense leaves it.
func (s *session) notSaved(a imap.Search, err error) error {
	if a.Return.Save && !isSyntax(err) {
		s.saved = nil
	}
	return err
}

// sayHits writes SEARCH or SORT as RFC 9051 and RFC 5256 have it.
func (s *session) sayHits(name string, f *found) {
	b := append([]byte("* "), name...)
	for _, seq := range f.seqs {
		b = strconv.AppendUint(append(b, ' '), uint64(f.number(seq)), 10)
		if len(b) > writeBuffer {
			s.enc.Raw(string(b))
			b = b[:0]
		}
	}
	if f.modSeqs && len(f.seqs) > 0 {
		b = fmt.Appendf(b, " (MODSEQ %d)", f.modSeq(f.seqs))
	}
	s.enc.Raw(string(b) + "\r\n")
}
