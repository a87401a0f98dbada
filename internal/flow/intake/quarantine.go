package intake

import (
	"context"
	"slices"

	"facteur/internal/base/lookup"
	"facteur/internal/flow/filter"
	"facteur/internal/flow/quarantine"
	"facteur/internal/flow/route"
	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/queue"
)

// divert finds the mailboxes of those who want what would be put into quarantine there
// (policy.Effective.QuarantineTo). Where that is no mailbox here, or can't be told now, the
// quarantine has it: a setting that leads nowhere neither loses nor delays a letter.
func (t *Transaction) divert(ctx context.Context) {
	var found map[address.Address]*route.Destination
	for _, at := range t.asked {
		r := &t.recipients[at]
		if r.fate == nil || r.fate.Disposition != filter.Quarantined || r.fate.Wants.QuarantineTo.IsNull() {
			continue
		}
		to := r.fate.Wants.QuarantineTo
		d, known := found[to]
		if !known {
			if a := t.desk.router.Resolve(ctx, to); a.State() == lookup.Found && a.Value().Kind == route.Mailbox {
				d = new(a.Value())
			}
			if found == nil {
				found = make(map[address.Address]*route.Destination)
			}
			found[to] = d
		}
		r.diverted = d
	}
}

// divertedTo has a recipient's entry lead to the mailbox of those who look at what is put
// into quarantine. Its sender hears of that no more than of the quarantine.
func divertedTo(q *queue.Recipient, d *route.Destination) {
	q.Address, q.Route, q.Sender, q.Owned, q.Forwarder = d.Address, d.String(), d.Sender, d.Owned, address.Address{}
	q.Folder, q.Notify = "", q.Notify&^smtp.NotifySuccess
}

// tellQuarantine tells the postmaster of what was put into quarantine, where somebody wants
// him to hear of it.
func (t *Transaction) tellQuarantine(it *queue.Item) {
	for _, r := range it.Recipients {
		if r.Quarantine == "" || r.Exhibit == nil || !t.notifies(r) {
			continue
		}
		t.desk.events.Emit(quarantine.Notice{ID: it.ID, Category: r.Quarantine, Sender: it.Sender.String(), To: r.Address.String(),
			Author: r.Exhibit.Author, Subject: r.Exhibit.Subject, Score: r.Exhibit.Score})
	}
}

// notifies tells whether the postmaster is to hear of a recipient's letter.
func (t *Transaction) notifies(r queue.Recipient) bool {
	return slices.ContainsFunc(t.recipients, func(of recipient) bool {
		return of.fate != nil && of.dest.Address == r.Address && slices.Contains(of.fate.Wants.Notify, of.fate.Category)
	})
}
