package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/store/quota"
)

// expire looks through all accounts for mail that is too old, again and again, one
// account after the other.
func (a *App) expire(ctx context.Context) {
	for {
		select {
		case <-time.After(a.settings.Load().config.Mailbox.ExpireInterval.Std()):
		case <-ctx.Done():
			return
		}
		accounts, err := a.directory.Accounts(ctx)
		if err != nil {
			a.warn("facteur/expire", "accounts can't be listed: "+err.Error())
			continue
		}
		for _, account := range accounts {
			list, err := a.mailboxes.ExpireOld(ctx, a.owner(account))
			if ctx.Err() != nil {
				return
			}
			for _, x := range list {
				a.events.Emit(event.Note{Severity: slog.LevelInfo, Program: "facteur/expire",
					Text:  fmt.Sprintf("%d messages of %s were too old in the mailbox %q and were expunged", x.Letters, account.Address, x.Mailbox),
					Attrs: []slog.Attr{slog.String("user", account.Address), slog.String("mailbox", x.Mailbox), slog.Int("messages", x.Letters)}})
			}
			if err != nil {
				a.warn("facteur/expire", account.Address+": "+err.Error())
			}
		}
	}
}

// crossed tells that an account is getting full, or has room again: the log, and its
// owner.
func (a *App) crossed(x quota.Crossing) {
	text := fmt.Sprintf("the mailboxes of %s are %d%% full", x.Owner.Address, x.Percent)
	if x.Threshold == 0 {
		text = fmt.Sprintf("the mailboxes of %s have room again (%d%% full)", x.Owner.Address, x.Percent)
	}
	a.events.Emit(event.Note{Severity: slog.LevelInfo, Program: "facteur/quota", Text: text,
		Attrs: []slog.Attr{slog.String("user", x.Owner.Address), slog.Int("percent", x.Percent)}})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := a.writer.TellOwner(ctx, x.Owner.Address, x.Threshold, x.Percent, time.Now()); err != nil {
		a.warn("facteur/quota", "the owner can't be told that "+text+": "+err.Error())
	}
}
