package source

import (
	"testing"
)

// An entry of LDAP whose state is asked for: the time of a lock (pwdAccountLockedTime) is
// one, several values have to agree, and who has no "active" is not.
func TestEntriesWhoMayLogIn(t *testing.T) {
	for _, c := range []struct {
		field  string
		values []string
		may    bool
	}{
		{"disabled", nil, true}, {"disabled", []string{"FALSE"}, true}, {"disabled", []string{"000001010000Z"}, false},
		{"disabled", []string{"FALSE", "TRUE"}, false}, {"active", nil, false}, {"active", []string{"TRUE"}, true},
		{"active", []string{"TRUE", "suspended"}, false}, {"active", []string{"FALSE"}, false},
	} {
		s := &LDAP{attributes: map[string]string{c.field: "state"}}
		r, err := s.fields(func(string) []string { return c.values }).record()
		if err != nil || r.Disabled == c.may {
			t.Errorf("%s %q: %v %v", c.field, c.values, r.Disabled, err)
		}
	}
}
