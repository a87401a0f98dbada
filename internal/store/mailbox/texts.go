package mailbox

import (
	"context"

	"facteur/internal/store/fulltext"
)

// Texts is the account's index of what is in letters. Whoever searches keeps it up.
func (v *View) Texts() *fulltext.Index { return v.acct.texts }

// Reopen opens the mailbox once more, for work that may outlive the session. It is
// read-only and makes no letter less \Recent for others. The account stays open until
// close is called.
func (v *View) Reopen(ctx context.Context) (again *View, close func(), err error) {
	a, err := v.acct.store.Open(ctx, v.acct.owner)
	if err != nil {
		return nil, nil, err
	}
	if again, err = a.Select(ctx, v.box.name, true); err != nil {
		a.Close()
		return nil, nil, err
	}
	return again, func() { again.Close(); a.Close() }, nil
}

// Validities are the UIDVALIDITYs of all mailboxes of the account.
func (v *View) Validities() []uint32 {
	v.acct.mu.Lock()
	defer v.acct.mu.Unlock()
	var all []uint32
	for _, b := range v.acct.boxes {
		all = append(all, b.validity)
	}
	return all
}
