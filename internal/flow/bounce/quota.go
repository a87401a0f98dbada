package bounce

import (
	"context"
	"fmt"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dsn"
	"facteur/internal/mail/refusal"
)

// What the owner of an account reads when it is getting full.
var (
	nearlyTitle = refusal.Text{En: "Your mailbox is %d%% full", Fr: "Votre boîte est pleine à %d %%"}
	nearlyText  = refusal.Text{
		En: "Your mailboxes are %d%% full.\n\nWhen they are full, messages for you are refused, and their senders are told.\nPlease delete what you no longer need, and empty the trash.\n",
		Fr: "Vos boîtes sont pleines à %d %%.\n\nUne fois pleines, les messages qui vous sont adressés seront refusés, et leurs\nexpéditeurs en seront avertis. Supprimez ce dont vous n’avez plus besoin, et videz\nla corbeille.\n"}
	fullTitle = refusal.Text{En: "Your mailbox is full (%d%%)", Fr: "Votre boîte est pleine (%d %%)"}
	fullText  = refusal.Text{
		En: "Your mailboxes are full (%d%%).\n\nMessages for you are refused now, and their senders are told.\nPlease delete what you no longer need, and empty the trash.\n",
		Fr: "Vos boîtes sont pleines (%d %%).\n\nLes messages qui vous sont adressés sont maintenant refusés, et leurs expéditeurs\nen sont avertis. Supprimez ce dont vous n’avez plus besoin, et videz la corbeille.\n"}
	roomTitle = refusal.Text{En: "Your mailbox has room again (%d%% full)", Fr: "Votre boîte a de nouveau de la place (pleine à %d %%)"}
	roomText  = refusal.Text{
		En: "Your mailboxes have room again (%d%% full).\n\nMessages for you are taken as usual.\n",
		Fr: "Vos boîtes ont de nouveau de la place (pleines à %d %%).\n\nLes messages qui vous sont adressés arrivent normalement.\n"}
)

// TellOwner commits a letter to the owner of an account about how full it is, in
// percent: threshold is the warning that was reached, 0 when there is room again. It
// is mail like any other, but that nothing is ever written because of it.
func (w *Writer) TellOwner(ctx context.Context, account string, threshold, percent int, now time.Time) error {
	who, err := address.Parse(account)
	if err != nil {
		return err
	}
	a := w.router.Resolve(ctx, who)
	if a.State() != lookup.Found {
		return a.Err()
	}
	title, text := nearlyTitle, nearlyText
	switch {
	case threshold == 0:
		title, text = roomTitle, roomText
	case threshold >= 100:
		title, text = fullTitle, fullText
	}
	s := w.settings()
	language := s.language(who, nil)
	letter := dsn.Letter{Host: w.hostname, To: who, Date: now, MessageID: w.messageID(now), Language: language, Sender: summarySender.In(language),
		Subject: fmt.Sprintf(title.In(language), percent), Text: fmt.Sprintf(text.In(language), percent)}
	return w.outbox.Commit(ctx, dsn.BuildLetter(letter), w.item(a.Value(), fromPostmaster, now), letter.MessageID)
}
