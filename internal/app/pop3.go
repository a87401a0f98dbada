package app

import (
	"facteur/internal/app/config"
	"facteur/internal/mail/pop3"
	"facteur/internal/server/pop3d"
	"facteur/internal/store/directory"
	"facteur/internal/store/mailbox"
)

// pop3Rules is [pop3] as the door takes it, with what [mailbox] says of INBOX.
func pop3Rules(all *config.Config) (*pop3d.Rules, error) {
	c := all.POP3
	format, err := pop3.ParseFormat(c.UIDLFormat)
	if err != nil {
		return nil, err
	}
	return &pop3d.Rules{
		UIDL: format, Trash: "Trash", Hidden: c.DeletedFlag, MarkSeen: c.MarkSeen, Shared: !c.LockSession, LoginDelay: c.LoginDelay.Std(),
		Expire: mailbox.Expiry(all.Owner(directory.Account{}).Expire, "INBOX"),
		Deletion: map[config.DeleteType]pop3d.Deletion{
			config.DeleteExpunge: pop3d.Expunge, config.DeleteTrash: pop3d.Trash, config.DeleteFlag: pop3d.Flag,
		}[c.DeleteType],
	}, nil
}
