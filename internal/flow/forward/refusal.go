package forward

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/mail/batv"
	"facteur/internal/mail/smtp"
	"facteur/internal/mail/srs"
)

// Return is who is meant by an address of which IsRewritten is true, without the mark that
// he may carry, or why nobody is.
func (r *Rules) Return(ctx context.Context, to address.Address, now time.Time) (address.Address, *smtp.Reply) {
	back, err := r.Back(to, now)
	switch {
	case errors.Is(err, srs.ErrSyntax):
		return to, smtp.NewReply(550, "5.1.1", fmt.Sprintf("<%s>: Recipient address rejected: %v", to, err))
	case err != nil:
		return to, smtp.NewReply(550, "5.7.1", fmt.Sprintf("<%s>: Recipient address rejected: %v", to, err))
	}
	return r.Bare(ctx, back), nil
}

// OnlyNotices refuses a stranger who writes to an address of which IsRewritten is true, and
// writes no notice: our word for an address is no leave to write to it. The sender of
// notices is nobody, as it should be, or a program that does not know better.
func OnlyNotices(to, sender address.Address) *smtp.Reply {
	local := strings.ToLower(sender.Local)
	if sender.IsNull() || local == "mailer-daemon" || local == "postmaster" {
		return nil
	}
	return smtp.NewReply(550, "5.7.1", fmt.Sprintf("<%s>: Recipient address rejected: only notices of delivery (from the null sender) come back this way", to))
}

// Unmarked refuses a notice about mail that never left here (REL-015); TryAgain: it is not
// known now.
func (r *Rules) Unmarked(ctx context.Context, to address.Address, now time.Time) lookup.Answer[*smtp.Reply] {
	answer := r.CheckMark(ctx, to, now)
	switch err := answer.Value(); {
	case answer.State() != lookup.Found:
		return lookup.Later[*smtp.Reply](answer.Err())
	case errors.Is(err, batv.ErrUnsigned):
		return lookup.Yes(smtp.NewReply(550, "5.7.1", fmt.Sprintf("<%s>: Recipient address rejected: this address sends no mail without a mark, and the notice is not about mail from here", to)))
	case err != nil:
		return lookup.Yes(smtp.NewReply(550, "5.7.1", fmt.Sprintf("<%s>: Recipient address rejected: %v", to, err)))
	}
	return lookup.Yes[*smtp.Reply](nil)
}
