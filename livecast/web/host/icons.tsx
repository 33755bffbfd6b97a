/** Pictures of what can be done. */

import type { ComponentChildren } from 'preact';

const Icon = ({ children }: { children: ComponentChildren }) => (
  <svg class="icon-picture" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
    {children}
  </svg>
);

export const ReplyIcon = () => <Icon><path d="M9 7L4 12l5 5M4 12h10a6 6 0 0 1 6 6" /></Icon>;
export const PinIcon = () => <Icon><path d="M9 3h6l-1 7 4 4H6l4-4zM12 14v7" /></Icon>;
export const MuteIcon = () => <Icon><path d="M11 5L6 9H3v6h3l5 4zM16 9l5 6M21 9l-5 6" /></Icon>;
export const RemoveIcon = () => <Icon><path d="M4 7h16M9 7V4h6v3M6 7l1 14h10l1-14M10 11v6M14 11v6" /></Icon>;
export const BanIcon = () => <Icon><circle cx="12" cy="12" r="9" /><path d="M5.700 5.700l12.600 12.600" /></Icon>;
export const ChatIcon = () => <Icon><path d="M4 5h16v11H9l-5 4z" /></Icon>;
export const TodoIcon = () => <Icon><path d="M4 12l5 5L20 6" /></Icon>;
export const FiguresIcon = () => <Icon><path d="M4 20V10M10 20V4M16 20v-8M21 20H3" /></Icon>;
export const ShelfIcon = () => <Icon><path d="M5 8h14l1 13H4zM9 10V6a3 3 0 0 1 6 0v4" /></Icon>;
export const DropIcon = () => <Icon><path d="M13 2L5 14h6l-1 8 9-13h-6z" /></Icon>;
export const PollIcon = () => <Icon><path d="M4 6h10M4 12h16M4 18h6" /></Icon>;
export const RoomIcon = () => <Icon><path d="M3 7h9M18 7h3M3 17h3M12 17h9" /><circle cx="15" cy="7" r="3" /><circle cx="9" cy="17" r="3" /></Icon>;
