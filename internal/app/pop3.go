package app

import (
	"facteur/internal/app/config"
	"facteur/internal/mail/pop3"
	"facteur/internal/server/pop3d"
)

// pop3Rules is [pop3] as the door takes it.
func pop3Rules(c config.POP3Rules) (*pop3d.Rules, error) {
	format, err := pop3.ParseFormat(c.UIDLFormat)
	if err != nil {
		return nil, err
	}
	return &pop3d.Rules{
		UIDL: format, Trash: "Trash", Hidden: c.DeletedFlag, MarkSeen: c.MarkSeen, Shared: !c.LockSession, LoginDelay: c.LoginDelay.Std(),
		Deletion: map[config.DeleteType]pop3d.Deletion{
			config.DeleteExpunge: pop3d.Expunge, config.DeleteTrash: pop3d.Trash, config.DeleteFlag: pop3d.Flag,
		}[c.DeleteType],
	}, nil
}
