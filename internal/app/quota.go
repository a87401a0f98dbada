package app

import (
	"context"
	"fmt"
	"log/slog"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/server/imapd"
	"facteur/internal/store/directory"
	"facteur/internal/store/quota"
)

// quotas lets the accounts that the settings name see and set those of others.
func (a *App) quotas() imapd.Quotas {
	return imapd.Quotas{
		May: func(account string) bool { return a.settings.Load().config.IsQuotaAdmin(account) },
		Get: a.quotaOf, Set: a.setQuota,
	}
}

func (a *App) quotaOf(ctx context.Context, account string) (quota.Usage, quota.Limits, error) {
	found, err := a.account(ctx, account)
	if err != nil {
		return quota.Usage{}, quota.Limits{}, err
	}
	o := a.owner(found)
	used, err := a.mailboxes.Usage(ctx, o)
	return used, o.Quota, err
}

func (a *App) setQuota(ctx context.Context, account string, bytes, messages int64) error {
	found, err := a.account(ctx, account)
	if err != nil {
		return err
	}
	who, err := address.Parse(account)
	if err != nil {
		return err
	}
	w := directory.Allowance{Bytes: bytes, Messages: messages, Keep: found.Own.Keep}
	if err := a.directory.SetAllowance(ctx, who, w); err != nil {
		return err
	}
	a.events.Emit(event.Note{Severity: slog.LevelInfo, Program: "dovecot", Text: "quota changed",
		Attrs: []slog.Attr{slog.String("user", found.Address), slog.Int64("bytes", bytes), slog.Int64("messages", messages)}})
	return a.renew(ctx, account)
}

// renew tells the sessions of an account what was changed about it.
func (a *App) renew(ctx context.Context, account string) error {
	found, err := a.account(ctx, account)
	if err != nil {
		return err
	}
	return a.mailboxes.Renew(a.owner(found))
}

// account looks up an account by its address.
func (a *App) account(ctx context.Context, name string) (directory.Account, error) {
	who, err := address.Parse(name)
	if err != nil {
		return directory.Account{}, imapd.ErrNoAccount
	}
	found := a.directory.Account(ctx, who)
	switch found.State() {
	case lookup.Found:
		return found.Value(), nil
	case lookup.NotFound:
		return directory.Account{}, imapd.ErrNoAccount
	}
	return directory.Account{}, fmt.Errorf("account %s: %w", name, found.Err())
}
