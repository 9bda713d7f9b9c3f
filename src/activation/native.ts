/** What the addon has for services. Every function returns 0 or −errno. */
export interface ActivationBinding {
  /** EBADF. */
  closeOnExec(fd: number): number;
  /** One datagram to the socket at `address`, with copies of `descriptors`. Waits for room; EAGAIN. */
  sendNotification(
    address: Uint8Array,
    text: Uint8Array,
    descriptors: Int32Array,
    patienceMilliseconds: number,
  ): number;
}
