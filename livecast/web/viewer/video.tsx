/**
 * The picture: a file or a stream of `?src=`. Streams (HLS) play by themselves in Safari; elsewhere hls.js is loaded for them.
 *
 * What the player measures between the camera and this screen is what frames are held back by, so that a countdown and what is
 * sold out match what the host says. It is known where a stream tells its time (EXT-X-PROGRAM-DATE-TIME).
 */

import { useEffect, useRef, useState } from 'preact/hooks';
import { SoundIcon } from '../shared/icons';
import { room } from './room';
import { t } from './words';

const HLS = 'application/vnd.apple.mpegurl';
/** How often the delay is measured, and what change of it is worth moving frames for. */
const MEASURE_MS = 2000;
const CHANGE_MS = 400;
/** A player further behind shows something else than the broadcast as it is. */
const DELAY_MAX_MS = 20_000;
/** So often a player may stumble over what it is given. */
const RECOVERIES_MAX = 3;

/** What a player says of itself. */
interface Player {
  /** The moment that the picture shows, Unix ms; null if the stream does not tell. */
  shows(): number | null;
  close(): void;
}

export function Video({ src, onFail }: { src: string; onFail: () => void }) {
  const ref = useRef<HTMLVideoElement>(null);
  const [silent, setSilent] = useState(true);
  useEffect(() => {
    const video = ref.current!;
    let player: Player | null = null;
    let over = false;
    play(video, src, onFail).then(
      (made) => (over ? made.close() : (player = made)),
      () => over || onFail(),
    );
    // A picture that stands still says nothing of how far it is behind when it moves.
    const moves = () => !video.paused && !video.ended && video.readyState > HTMLMediaElement.HAVE_CURRENT_DATA;
    const timer = setInterval(() => player && room.inStep && moves() && follow(player.shows()), MEASURE_MS);
    return () => {
      over = true;
      clearInterval(timer);
      player?.close();
      room.live.setPlaybackDelay(0);
    };
  }, [src]);
  const unmute = () => {
    ref.current!.muted = false;
    void ref.current!.play().catch(() => undefined); // it plays on without sound
  };
  return (
    <>
      <video ref={ref} autoplay muted playsInline onVolumeChange={() => setSilent(ref.current!.muted)} onError={(e) => e.currentTarget.error && onFail()} aria-label={t('picture')} />
      {silent && <button class="sound" onClick={unmute}><SoundIcon />{t('sound')}</button>}
    </>
  );
}

async function play(video: HTMLVideoElement, src: string, onFail: () => void): Promise<Player> {
  const stream = /\.m3u8($|\?)/i.test(src);
  // WebKit plays streams best by itself and tells their time; other browsers that have begun to play them do not tell it.
  const begin = video as HTMLVideoElement & { getStartDate?: () => Date };
  if (!stream || (video.canPlayType(HLS) && (begin.getStartDate || !('MediaSource' in window)))) {
    video.src = src;
    return {
      shows: () => {
        const start = begin.getStartDate?.().getTime();
        return start === undefined || Number.isNaN(start) ? null : start + video.currentTime * 1000;
      },
      close: () => video.removeAttribute('src'),
    };
  }
  const { default: Hls } = await import('hls.js');
  if (!Hls.isSupported()) throw new Error('no media source extensions');
  const hls = new Hls({ enableWorker: false, liveDurationInfinity: true }); // a worker out of a blob is nothing that the pages' policy allows
  let recovered = 0;
  hls.on(Hls.Events.ERROR, (_, { fatal, type }) => {
    if (!fatal) return;
    if (type === Hls.ErrorTypes.MEDIA_ERROR && recovered++ < RECOVERIES_MAX) hls.recoverMediaError();
    else onFail();
  });
  hls.loadSource(src);
  hls.attachMedia(video);
  return { shows: () => hls.playingDate?.getTime() ?? null, close: () => hls.destroy() };
}

let delay_ms = 0;

/** Hold frames back as far as the picture is behind. Small changes move nothing. */
function follow(shows: number | null): void {
  if (shows === null) return;
  const behind = Math.max(0, room.live.now() - shows);
  if (behind > DELAY_MAX_MS || Math.abs(behind - delay_ms) < CHANGE_MS) return;
  delay_ms = behind;
  room.live.setPlaybackDelay(delay_ms);
}
