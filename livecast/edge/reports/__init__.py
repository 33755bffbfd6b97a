"""What is told of broadcasts afterwards: the report and its page, charts, replays."""
