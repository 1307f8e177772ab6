"""From results of trials to the figures of a campaign; docs/campaign.md defines each of them."""
