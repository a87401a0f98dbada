package imapd

import (
	"context"
	"errors"
	"strings"

	"facteur/internal/mail/imap"
)

// Filters are searches that a user keeps under a name, as METADATA of the server
// (RFC 5466 §3). One of his own comes before one that is for all.
const (
	privateFilters = "/private/filters/values/"
	sharedFilters  = "/shared/filters/values/"
)

// maxFilters bounds the filters that one search may use, those that filters use
// included: one that uses itself ends there.
const maxFilters = 10

// putFilters puts what filters say in the place of their names. left is how many more
// there may be.
func (s *session) putFilters(ctx context.Context, k *imap.SearchKey, left *int) error {
	if k.Op == imap.SearchFilter {
		if *left--; *left < 0 {
			return &imap.LimitError{Text: "Too many filters"}
		}
		said, err := s.filter(ctx, k.Text)
		if err != nil {
			return err
		}
		*k = *said
		return s.putFilters(ctx, k, left)
	}
	for i := range k.Keys {
		if err := s.putFilters(ctx, &k.Keys[i], left); err != nil {
			return err
		}
	}
	return nil
}

// filter is what a filter says. Whatever is wrong with it is told as if it were not
// there (RFC 5466 §3.1).
func (s *session) filter(ctx context.Context, name string) (*imap.SearchKey, error) {
	undefined := refusal("[UNDEFINED-FILTER " + name + "] No such filter")
	notes, err := s.space.Annotations(ctx, "")
	if err != nil {
		return nil, err
	}
	values := map[string][]byte{}
	for _, n := range notes {
		values[n.Entry] = n.Value
	}
	value := values[privateFilters+strings.ToLower(name)]
	if value == nil {
		value = values[sharedFilters+strings.ToLower(name)]
	}
	if value == nil {
		return nil, undefined
	}
	said, err := imap.ParseSearchKeys(string(value))
	if err == nil {
		err = toUTF8(&said.Key, said.Charset)
	}
	var limit *imap.LimitError
	if err != nil && !errors.As(err, &limit) {
		err = undefined
	}
	return &said.Key, err
}
