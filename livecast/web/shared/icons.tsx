/** Pictures that look the same everywhere: not every machine has a font with emoji. */

import type { ComponentChildren } from 'preact';

const Icon = ({ children, colour }: { children: ComponentChildren; colour?: string }) => (
  <svg class="icon-picture" viewBox="0 0 24 24" fill="none" stroke={colour ?? 'currentColor'} stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
    {children}
  </svg>
);

const HEART = 'M12 20.500C5.500 16 2.500 12.700 2.500 8.800 2.500 6 4.600 4 7.100 4c2 0 3.800 1.100 4.900 2.900C13.100 5.100 14.900 4 16.900 4c2.500 0 4.600 2 4.600 4.800 0 3.900-3 7.200-9.500 11.700z';

export const HeartIcon = () => <Icon colour="none"><path d={HEART} fill="#e0314f" /></Icon>;
export const GiftIcon = ({ colour }: { colour?: string }) => (
  <Icon {...(colour ? { colour } : {})}>
    <path d="M3 8.500h18v4H3zM5 12.500h14V21H5zM12 8.500V21M12 8.500c-2-5-6.500-5-6.500-2.300 0 2 3.500 2.300 6.500 2.300zM12 8.500c2-5 6.500-5 6.500-2.300 0 2-3.500 2.300-6.500 2.300z" />
  </Icon>
);
export const PrizeIcon = () => <Icon><path d="M7 2.500l5 7 5-7" /><circle cx="12" cy="15.500" r="6" /><path d="M12 12.500v6M10.500 13.500l1.500-1" /></Icon>;
export const SettingsIcon = () => (
  <Icon><path d="M3 7h9M18 7h3M3 17h3M12 17h9" /><circle cx="15" cy="7" r="3" /><circle cx="9" cy="17" r="3" /></Icon>
);
export const CheckIcon = () => <Icon><path d="M4.500 12.500l5 5 10-11" /></Icon>;
export const CrossIcon = () => <Icon><path d="M5.500 5.500l13 13M18.500 5.500l-13 13" /></Icon>;
export const SoundIcon = () => <Icon><path d="M4 9.500v5h3.500L12 18.500v-13L7.500 9.500zM15.500 9a4 4 0 0 1 0 6M18 6.500a8 8 0 0 1 0 11" /></Icon>;
export const StyleIcon = () => <Icon><path d="M4 19L10 5l6 14M6.200 14h7.600M17 19h4" /></Icon>;
export const BagIcon = () => <Icon><path d="M5 8h14l1 13H4zM9 10V6a3 3 0 0 1 6 0v4" /></Icon>;

const Rose = () => (
  <Icon colour="none">
    <path d="M12 12v9.500M12 18c-3 0-5-1.500-5-3.500 3 0 5 1.500 5 3.500zM12 19.500c2.500 0 4.500-1.300 4.500-3-2.700 0-4.500 1.300-4.500 3z" stroke="#2f9e53" fill="#2f9e53" />
    <path d="M12 13c-4 0-6-2.500-6-6 1.500 0 2.500-1 3-2 1 0 2-.5 3-2 1 1.500 2 2 3 2 .5 1 1.500 2 3 2 0 3.500-2 6-6 6z" fill="#e0314f" />
    <path d="M9 7.500c1 2 5 2 6 0M12 9v3" stroke="#8c1029" />
  </Icon>
);
const Rocket = () => (
  <Icon colour="none">
    <path d="M8 15c-3 1-4 4-4.500 6.500C6 21 9 20 10 17z" fill="#ffb03b" />
    <path d="M7 13L3.500 12 7.500 8.500h4zM11 17l1 3.500 3.500-4v-4z" fill="#d1303f" />
    <path d="M7 13C9 7 14 2.500 21.500 2.500 21.500 10 17 15 11 17z" fill="#dfe6f2" />
    <circle cx="15.500" cy="8.500" r="2.200" fill="#2f6fd6" />
  </Icon>
);

const TIERS = ['#7a8aa0', '#4f8ad9', '#b05ad0', '#e08a1e'];

/** A gift as a picture: those of the built-in catalogue, and a parcel in its tier's colour. */
export function GiftPicture({ gift, tier }: { gift: string; tier: number }) {
  if (gift === 'rose') return <Rose />;
  if (gift === 'heart') return <HeartIcon />;
  if (gift === 'rocket') return <Rocket />;
  return <GiftIcon colour={TIERS[tier] ?? TIERS[3]!} />;
}
