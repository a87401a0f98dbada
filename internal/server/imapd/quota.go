package imapd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"facteur/internal/mail/imap"
	"facteur/internal/store/mailbox"
	"facteur/internal/store/quota"
)

// ownRoot is the one quota root that everybody has: the name is Dovecot's, and mail
// programs show it.
const ownRoot = "User quota"

// rootOf is the quota root of another account, which only those see who may set it.
const rootOf = ownRoot + " of "

// Quotas is what may be done with the quotas of other accounts, and who may.
type Quotas struct {
	// May tells an account that may see and set the quotas of all.
	May func(account string) bool
	// Get is what an account holds, and its limits.
	Get func(ctx context.Context, account string) (quota.Usage, quota.Limits, error)
	// Set gives an account limits of its own; 0 takes back what it had.
	Set func(ctx context.Context, account string, bytes, messages int64) error
}

var errNoRoot = errors.New("no such quota root")

// quotaCommand is the commands of RFC 9208.
func (s *session) quotaCommand(name string) (handler, when) {
	switch name {
	case "GETQUOTA":
		return s.getQuota, afterLogin
	case "GETQUOTAROOT":
		return s.getQuotaRoot, afterLogin
	case "SETQUOTA":
		return s.setQuota, afterLogin
	}
	return nil, 0
}

// quotaCapabilities names SETQUOTA to those only who may use it.
func (s *session) quotaCapabilities() []string {
	names := []string{"QUOTA", "QUOTA=RES-STORAGE", "QUOTA=RES-MESSAGE"}
	if s.setsQuotas() {
		names = append(names, "QUOTASET")
	}
	return names
}

// setsQuotas tells whether the user may set quotas.
func (s *session) setsQuotas() bool {
	may := s.server.config.Quotas.May
	return may != nil && may(s.space.User())
}

func (s *session) getQuota(ctx context.Context, c imap.Command) (string, error) {
	return "GETQUOTA completed", s.sayQuota(ctx, string(c.Args.(imap.QuotaRoot)))
}

// getQuotaRoot tells of no root for a mailbox whose owner's usage is none of the user's
// business, and of none for a public one.
func (s *session) getQuotaRoot(ctx context.Context, c imap.Command) (string, error) {
	name := string(c.Args.(imap.Mailbox))
	place, _, err := s.space.Enter(ctx, name, mailbox.RightRead)
	if err != nil {
		return "", err
	}
	root := ""
	switch owner := place.Account.Address(); {
	case place.Own():
		root = ownRoot
	case owner != "" && s.setsQuotas():
		root = rootOf + owner
	}
	place.Close()
	s.enc.Raw("* QUOTAROOT ")
	s.enc.Mailbox(name)
	if root != "" {
		s.enc.Raw(" ")
		s.enc.String(root)
	}
	s.enc.Raw("\r\n")
	if root == "" {
		return "GETQUOTAROOT completed", nil
	}
	return "GETQUOTAROOT completed", s.sayQuota(ctx, root)
}

func (s *session) setQuota(ctx context.Context, c imap.Command) (string, error) {
	if !s.setsQuotas() {
		return "", refusal("[NOPERM] Quota can be changed only by admin")
	}
	q := c.Args.(imap.SetQuota)
	account, err := s.accountOf(q.Root)
	if err != nil {
		return "", quotaError(err)
	}
	var bytes, messages int64
	for _, l := range q.Limits {
		switch most := max(l.Limit, 1); l.Resource { // a limit of nothing is one all the same
		case "STORAGE":
			if most > 1<<50 {
				return "", refusal("[LIMIT] The limit is too large")
			}
			bytes = most * 1024
		case "MESSAGE":
			messages = most
		default:
			return "", refusal(fmt.Sprintf("[CANNOT] %s has no limit that can be set", l.Resource))
		}
	}
	if err := s.server.config.Quotas.Set(ctx, account, bytes, messages); err != nil {
		return "", quotaError(err)
	}
	return "SETQUOTA completed", s.sayQuota(ctx, q.Root)
}

// accountOf is whose quota root a name is; "" for what there is not.
func (s *session) accountOf(root string) (string, error) {
	if root == ownRoot {
		return s.space.User(), nil
	}
	account, ok := strings.CutPrefix(root, rootOf)
	if !ok || !s.setsQuotas() {
		return "", errNoRoot
	}
	return account, nil
}

// sayQuota writes the QUOTA response, which names only what is limited.
func (s *session) sayQuota(ctx context.Context, root string) error {
	used, limits, err := s.quotaOf(ctx, root)
	if err != nil {
		return quotaError(err)
	}
	var resources []string
	if limits.Bytes > 0 {
		resources = append(resources, fmt.Sprintf("STORAGE %d %d", kilobytes(used.Bytes), kilobytes(limits.Bytes)))
	}
	if limits.Messages > 0 {
		resources = append(resources, fmt.Sprintf("MESSAGE %d %d", used.Messages, limits.Messages))
	}
	s.enc.Raw("* QUOTA ")
	s.enc.String(root)
	s.enc.Raw(" (" + strings.Join(resources, " ") + ")\r\n")
	return nil
}

func (s *session) quotaOf(ctx context.Context, root string) (quota.Usage, quota.Limits, error) {
	if root == ownRoot {
		return s.space.Account().Usage(ctx)
	}
	account, err := s.accountOf(root)
	if err != nil {
		return quota.Usage{}, quota.Limits{}, err
	}
	return s.server.config.Quotas.Get(ctx, account)
}

// kilobytes is a number of units of 1024 octets; one that was begun counts.
func kilobytes(n int64) int64 { return (n + 1023) / 1024 }

// ErrNoAccount is what Quotas gives for an account that there is not.
var ErrNoAccount = errors.New("no such account")

// quotaError words what is not there alike, whatever it is.
func quotaError(err error) error {
	if errors.Is(err, errNoRoot) || errors.Is(err, ErrNoAccount) {
		return refusal("[NONEXISTENT] Quota root doesn't exist")
	}
	return err
}
