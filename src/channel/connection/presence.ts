/** What a listener has in the file system: its seat in the channel, and the socket to connect to. */
import { type UnixServer, unix } from '../../socket/index.js';
import { unlink } from '../../system/path.js';
import type { Description } from '../directory/control-file.js';
import type { ChannelDirectory } from '../directory/directory.js';
import { Participant } from '../directory/participant.js';

/** The socket in the channel's folder. */
export const SOCKET = 'socket';
/** The seat of the listener; there is only one listener. */
const LISTENER_SEAT = 0;

export class Presence {
  readonly participant: Participant;
  readonly server: UnixServer;

  /** @param backlog connections that may wait to be accepted; the kernel takes no more than net.core.somaxconn */
  constructor(name: string, wanted: Description, directory: ChannelDirectory, backlog: number) {
    this.participant = Participant.open(name, wanted, { directory, seats: [LISTENER_SEAT, LISTENER_SEAT + 1] });
    const path = this.participant.path(SOCKET);
    try {
      try {
        unlink(path); // of a dead process: the seat is ours
      } catch {}
      this.server = unix.listen(path, { type: 'seqpacket', mode: this.participant.mode, backlog }) as UnixServer;
      this.server.unref(); // a pending accept keeps the program running, not the server
      try {
        this.participant.share(SOCKET);
      } catch (error) {
        this.server.close();
        throw error;
      }
    } catch (error) {
      this.participant.close();
      throw error;
    }
  }
  close(): void {
    this.server.close();
    this.participant.close();
  }
}
