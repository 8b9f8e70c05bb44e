// Package zcrm moves files and pictures between a program and the records of Zoho CRM.
//
//	client, err := zcrm.New(zcrm.WithRefreshToken(clientID, clientSecret, refreshToken), zcrm.WithDataCenter("eu"))
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//	stored, err := client.UploadAttachment(ctx, zcrm.Record{Module: "Contacts", ID: id}, zcrm.FromFile("contract.pdf"))
//
// The operations:
//
//	UploadAttachment     attach a file or a link to a record
//	Attachments          iterate over a record's attachments; ListAttachments fetches one page
//	DownloadAttachment   write an attachment to an io.Writer; DownloadAttachmentFile to a file
//	UploadPhoto          set a record's photo
//	DownloadPhoto        write a record's photo to an io.Writer; DownloadPhotoFile to a file
//	DeletePhoto          delete a record's photo
//	DeleteAttachment     delete an attachment; DeleteAttachments several
//	RunStep              any of them, as JSON in and JSON out; DescribeSteps has the schemas
//	RunBatch             many of them at once, with a journal
//
// # Context and callbacks
//
// A call ends when its context does, within 100 ms whatever the network does, and has then fully returned: no Reader, Writer or progress
// function runs afterwards. They run on the goroutine that made the call, and the call waits for them. So make sure that the end of the context
// also ends a Read or a Write that blocks: [FromReader] says how. They must not start another operation, which gives [ErrState], nor call
// [runtime.Goexit], as t.FailNow of a test does, which panics for good. A panic in one of them goes on as the same panic once the library
// has returned; a crash shows where it began, and so does the log.
//
// A Reader or a Writer may wait for another call, as the two ends of an [io.Pipe] between a download and an upload do.
//
// # Goroutines and threads
//
// Each call that is in the library holds one thread of the operating system, and a client lets in 64 at once ([WithMaxCalls]). Of these
// the setting "max_in_flight" lets as many send to Zoho at once as Zoho accepts, up to 25 unless it says otherwise. So any number of
// goroutines may make calls: the others wait, and a context ends the wait.
//
// # Errors
//
// Every failed operation gives an [*Error]. Ask with [errors.Is] for the class, such as [ErrNotFound], for [ErrClosed], for
// [context.Canceled] and [context.DeadlineExceeded], for [io.ErrUnexpectedEOF] and [os.ErrDeadlineExceeded], and for whatever a Reader,
// Writer or token source of yours returned. It is a [net.Error] too.
//
// # Linking
//
// The package is a binding of libzcrm, which has to be installed, with pkg-config and a C compiler. Where it is installed outside of
// the system's directories, PKG_CONFIG_PATH names the directory of its zcrm.pc. The build tag zcrm_static links the archive libzcrm.a
// in place of the shared library:
//
//	go build -tags zcrm_static
package zcrm
