import { useEffect, useReducer } from 'preact/hooks';
import { room } from './room';

/** Draw this component anew when the room changes. */
export function useRoom(): typeof room {
  const [, draw] = useReducer((n: number) => n + 1, 0);
  useEffect(() => room.subscribe(() => draw(0)), []);
  return room;
}
